"""Run by the Python of an environment with JupyterLab, Playwright and rfcalc: a notebook of what rfcalc shows, opened
in both themes, trusted or not; prints what can be seen as JSON.

    python in_jupyterlab.py FOLDER

FOLDER gets the screenshots. The server listens on 127.0.0.1 only, with a token and a port of its own, and is ended by
its process; Chromium gets a new profile.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import nbclient
import nbformat
from playwright.sync_api import sync_playwright

CELLS = (
    'rfcalc.load("conv3-64 x2, maxpool2")',
    'rfcalc.analyze("vgg16")',
    'rfcalc.receptive_field("conv3-8/2 conv3-8 d2", input="3x16x16")',
    'rfcalc.compare("resnet50", "resnet50-v1")',
    'rfcalc.explain("vgg16", "pool2", "rf")',
    'rfcalc.symbolic("conv3-C x3")',
    'rfcalc.sizes("unet", near=(350, 525))',
    'rfcalc.tile("conv3-8 x3", input="3x512x512")',
    'rfcalc.grid("vgg16")',
    'rfcalc.memory("resnet18")',
    'rfcalc.stream("conv3-8 x3", input="1x16000")',
    'rfcalc.lint("vgg16")',
    'rfcalc.draw("conv3-8 relu maxpool2 fc10")',
)
SEEN = """() => {
  const parse = s => { const m = s.match(/[\\d.]+/g); return m ? m.map(Number) : [0, 0, 0, 0]; };
  const over = (a, b) => { const t = a.length > 3 ? a[3] : 1; return [0, 1, 2].map(i => a[i] * t + b[i] * (1 - t)); };
  const light = c => {
    const f = c.map(v => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * f[0] + 0.7152 * f[1] + 0.0722 * f[2];
  };
  const texts = [];
  for (const output of document.querySelectorAll('.jp-RenderedHTMLCommon')) {
    const walker = document.createTreeWalker(output, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const text = walker.currentNode.textContent.trim();
      if (!text) continue;
      const element = walker.currentNode.parentElement;
      const chain = [];
      for (let at = element; at; at = at.parentElement) chain.unshift(getComputedStyle(at));
      let back = [255, 255, 255], opacity = 1;
      for (const style of chain) {
        back = over(parse(style.backgroundColor), back);
        const bar = style.backgroundImage.match(/rgba?\\([^)]*\\)/);
        if (bar) back = over(parse(bar[0]), back);
        opacity *= parseFloat(style.opacity);
      }
      const ink = over([...over(parse(getComputedStyle(element).color), back), opacity], back);
      const [a, b] = [light(ink), light(back)];
      const holder = element.closest('td, th, p, li, dt, dd, pre, caption, h2');
      texts.push([(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), getComputedStyle(holder).textAlign, text]);
    }
  }
  return { texts, images: [...document.querySelectorAll('.jp-OutputArea img')].map(i => i.naturalWidth),
           outputs: document.querySelectorAll('.jp-RenderedHTMLCommon').length };
}"""


def notebook(path: Path) -> None:
    made = nbformat.v4.new_notebook()
    made.cells = [nbformat.v4.new_code_cell(f"import rfcalc\n{text}") for text in CELLS]
    nbclient.NotebookClient(made, timeout=120).execute()
    nbformat.write(made, path)


def seen(work: Path, theme: str, trusted: bool, picture: Path) -> dict[str, Any]:
    """What the notebook shows in this theme."""
    jupyter = str(Path(sys.executable).with_name("jupyter"))
    env = {**os.environ, "HOME": str(work)}
    env |= {f"JUPYTER_{name.upper()}_DIR": str(work / name) for name in ("config", "data", "runtime")}
    settings = work / "config/lab/user-settings/@jupyterlab"
    for file, chosen in (
        ("apputils-extension/themes", {"theme": f"JupyterLab {theme}"}),
        ("apputils-extension/notification", {"fetchNews": "false", "checkForUpdates": False}),
        ("notebook-extension/tracker", {"windowingMode": "none"}),
    ):
        (settings / file).parent.mkdir(parents=True, exist_ok=True)
        (settings / f"{file}.jupyterlab-settings").write_text(json.dumps(chosen), encoding="utf-8")
    if trusted:
        subprocess.run([jupyter, "trust", str(work / "shown.ipynb")], env=env, check=True, capture_output=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    command = [jupyter, "lab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}"]
    command += ["--ServerApp.port_retries=0", f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={work}"]
    with open(work / "server.log", "w", encoding="utf-8") as log:
        server = subprocess.Popen(command, env=env, stdout=log, stderr=log)
    at = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(f"{at}/api?token={token}", timeout=2).close()
                break
            except OSError:
                time.sleep(0.25)
        with sync_playwright() as play:
            quiet = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
            browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=quiet)
            page = browser.new_page(viewport={"width": 1300, "height": 8000})
            page.goto(f"{at}/lab/tree/shown.ipynb?token={token}")
            page.wait_for_function(
                f"document.querySelectorAll('.jp-RenderedHTMLCommon').length >= {len(CELLS)}", timeout=90_000
            )
            page.wait_for_function(f"document.body.dataset.jpThemeName == 'JupyterLab {theme}'", timeout=30_000)
            page.wait_for_timeout(1000)
            found: dict[str, Any] = page.evaluate(SEEN)
            page.screenshot(path=str(picture))
            browser.close()
    finally:
        server.terminate()
        server.wait(30)
    return found


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    notebook(folder / "shown.ipynb")
    found = []
    for theme in ("Light", "Dark"):
        for trusted in (True, False):
            work = folder / f"{theme}-{'trusted' if trusted else 'untrusted'}"
            work.mkdir()
            shutil.copy(folder / "shown.ipynb", work)
            picture = folder / f"{work.name}.png"
            found.append({"theme": theme, "trusted": trusted, **seen(work, theme, trusted, picture)})
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
