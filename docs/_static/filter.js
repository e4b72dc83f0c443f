// A long table gets a field above it: rows that hold none of its words are hidden.
document.addEventListener("DOMContentLoaded", () => {
  for (const table of document.querySelectorAll("article table")) {
    const rows = [...table.querySelectorAll("tbody tr")];
    if (rows.length < 20) continue;
    const field = document.createElement("input");
    field.type = "search";
    field.className = "filter";
    field.placeholder = `Filter ${rows.length} rows: words that a row must hold`;
    field.setAttribute("aria-label", field.placeholder);
    const texts = rows.map((row) => row.textContent.toLowerCase());
    field.addEventListener("input", () => {
      const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      rows.forEach((row, i) => row.classList.toggle("filtered-out", !words.every((w) => texts[i].includes(w))));
    });
    const wrapper = table.closest(".table-wrapper") ?? table;
    wrapper.parentNode.insertBefore(field, wrapper);
  }
});
