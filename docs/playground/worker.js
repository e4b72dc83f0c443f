// Loads Pyodide and rfcalc, and hands requests to bridge.py. No rule of rfcalc is written here.
import { loadPyodide } from "./pyodide/pyodide.mjs";

const sizes = await (await fetch("./sizes.json")).json();
let loaded = 0;
const whole = Object.values(sizes.first).reduce((a, b) => a + b, 0);

// Bytes are counted as they arrive, so that the page can show how far it is.
const plainFetch = self.fetch.bind(self);
self.fetch = async (...given) => {
  const response = await plainFetch(...given);
  if (!response.ok || !response.body) return response;
  const counted = response.body.pipeThrough(
    new TransformStream({
      transform(chunk, controller) {
        loaded += chunk.byteLength;
        postMessage({ progress: Math.min(1, loaded / whole) });
        controller.enqueue(chunk);
      },
    }),
  );
  return new Response(counted, { status: response.status, headers: response.headers });
};

async function archive(name) {
  return new Uint8Array(await (await fetch(`./${name}`)).arrayBuffer());
}

const begun = performance.now();
const packages = archive("rfcalc.zip");
const bridge = plainFetch("./bridge.py").then((response) => response.text());
const python = await loadPyodide({ indexURL: new URL("./pyodide/", import.meta.url).href });
const bare = performance.now() - begun;
python.FS.mkdirTree("/work");
python.unpackArchive(await packages, "zip", { extractDir: "/lib/rfcalc-site" });
python.runPython("import sys; sys.path.insert(0, '/lib/rfcalc-site')");
python.runPython(await bridge);
const ask = python.globals.get("ask");
postMessage({ ready: true, bare, begun: performance.timeOrigin + begun });

const later = { formula: "formulas.zip", command: "command.zip" };
async function needed(what) {
  const name = later[what];
  if (name) {
    delete later[what];
    postMessage({ told: what === "formula" ? "loading the algebra …" : "loading the command line …" });
    python.unpackArchive(await archive(name), "zip", { extractDir: "/lib/rfcalc-site" });
    python.runPython("import importlib; importlib.invalidate_caches()");
  }
  if (what === "command" && /\b(symbolic|compare|explain|design|sizes|tile|memory)\b/.test(arguments[1] ?? "")) {
    await needed("formula");
  }
}

let queue = Promise.resolve();
onmessage = ({ data }) => {
  queue = queue.then(async () => {
    try {
      if (data.file) {
        python.FS.writeFile(`/work/${data.file}`, new Uint8Array(data.bytes));
        postMessage({ id: data.id, answer: {} });
        return;
      }
      await needed(data.request.what, data.request.line);
      postMessage({ id: data.id, answer: JSON.parse(ask(JSON.stringify(data.request))) });
    } catch (error) {
      postMessage({ id: data.id, answer: { error: String(error.message ?? error) } });
    }
  });
};
