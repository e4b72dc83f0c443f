// The quiz: questions, marks and explanations are asked of rfcalc; here they are only shown, and counted.
const $ = (name) => document.getElementById(`pg-${name}`);
const FIELDS = ["family", "difficulty", "count", "seed"];

export function quiz(ask, tell) {
  let titles = [];
  let number = 0;
  let score = { right: 0, asked: 0 };
  const form = $("quiz");

  async function begin() {
    const given = Object.fromEntries(new FormData(form));
    given.seed = given.seed.trim() || String(Math.floor(Math.random() * 100000));
    const answer = await ask({ what: "quiz", ...given });
    if (answer.error) return tell(answer.error, true);
    form.elements.seed.value = given.seed; // the same seed asks the same questions: the address can be passed on
    history.replaceState(null, "", `#quiz?${new URLSearchParams(given)}`);
    titles = answer.titles;
    score = { right: 0, asked: 0 };
    await show(0);
  }

  async function show(wanted) {
    number = wanted;
    const answer = await ask({ what: "question", number });
    if (answer.error) return tell(answer.error, true);
    $("question").hidden = false;
    $("question-title").textContent = `${number + 1} of ${titles.length}: ${answer.title}`;
    $("question-body").innerHTML = answer.html;
    $("explanation").replaceChildren();
    $("answer").hidden = false;
    $("next").hidden = true;
    told();
    tell("");
    $("question-body").querySelector("input")?.focus();
  }

  function told(done = false) {
    const { right, asked } = score;
    $("score").textContent = asked ? `${right} of ${asked} right${done ? `, ${Math.floor((100 * right) / asked)} %` : ""}` : "";
  }

  async function answered() {
    const typed = Object.fromEntries(new FormData($("question")));
    const answer = await ask({ what: "mark", number, typed });
    if (answer.error) return tell(answer.error, true);
    for (const place of $("question-body").querySelectorAll("output")) {
      const found = answer.marks?.[place.dataset.blank];
      const key = found && !found.right ? ` It is ${found.key}.` : "";
      place.textContent = found ? `${found.right ? "✓" : "✗"} ${found.said}${key}` : (answer.again[place.dataset.blank] ?? "");
      place.className = found?.right ? "right" : "wrong";
    }
    if (answer.again) return tell("an answer cannot be read; nothing is marked yet", true);
    score = { right: score.right + answer.right, asked: score.asked + answer.asked };
    for (const field of $("question-body").querySelectorAll("input")) field.disabled = true;
    $("explanation").innerHTML = answer.derivation;
    $("answer").hidden = true;
    const last = number + 1 === titles.length;
    $("next").hidden = last;
    told(last);
    if (!last) $("next").focus();
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    begin();
  });
  $("question").addEventListener("submit", (event) => {
    event.preventDefault();
    if (!$("answer").hidden) answered();
  });
  $("next").addEventListener("click", () => show(number + 1));

  const asked = location.hash.match(/^#quiz(?:\?(.*))?$/);
  if (!asked) return false;
  for (const [name, value] of new URLSearchParams(asked[1] ?? "")) {
    if (FIELDS.includes(name)) form.elements[name].value = value;
  }
  if (form.elements.seed.value) begin();
  return true;
}
