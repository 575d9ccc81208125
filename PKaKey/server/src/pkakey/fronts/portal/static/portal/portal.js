// Enhancements only: every screen works without this file.

// Ctrl+K or / leads to the search box.
document.addEventListener("keydown", (event) => {
  const search = document.querySelector("#search-all");
  if (!search) return;
  const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
  if ((event.key === "k" && (event.ctrlKey || event.metaKey)) || (event.key === "/" && !typing)) {
    event.preventDefault();
    search.focus();
    search.select();
  }
});

// The preview of a new certificate follows what is pasted, dropped or chosen.
const form = document.querySelector("form[data-preview]");
if (form) {
  const text = form.querySelector("textarea[name=csr]");
  const file = form.querySelector("input[type=file]");
  const target = document.querySelector("#preview");
  let waiting, latest = 0;

  const show = async () => {
    if (!text.value.trim()) return;
    const mine = ++latest;
    const body = new FormData(form);
    body.delete("csr_file");
    try {
      const answer = await fetch(form.dataset.preview, { method: "POST", body, credentials: "same-origin" });
      if (mine !== latest) return;
      if (!answer.ok) throw new Error(String(answer.status));
      target.innerHTML = await answer.text();
    } catch {
      target.textContent = "The preview could not be loaded. Press “Preview” to try again.";
    }
  };
  const soon = () => { clearTimeout(waiting); waiting = setTimeout(show, 250); };
  const read = async (chosen) => {
    if (!chosen) return;
    const bytes = new Uint8Array(await chosen.slice(0, 65536).arrayBuffer());
    const start = new TextDecoder("latin1").decode(bytes);
    text.value = start.includes("-----BEGIN") ? start :
      "-----BEGIN CERTIFICATE REQUEST-----\n" + btoa(String.fromCharCode(...bytes)).replace(/.{64}/g, "$&\n") + "\n-----END CERTIFICATE REQUEST-----\n";
    file.value = "";
    show();
  };
  text.addEventListener("input", soon);
  form.addEventListener("change", (event) => (event.target === file ? read(file.files[0]) : soon()));
  text.addEventListener("dragover", (event) => { event.preventDefault(); text.classList.add("over"); });
  text.addEventListener("dragleave", () => text.classList.remove("over"));
  text.addEventListener("drop", (event) => {
    event.preventDefault();
    text.classList.remove("over");
    read(event.dataTransfer.files[0]);
  });
}
