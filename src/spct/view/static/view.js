// Keys and small comforts. Without this script every page still works by its links and forms.
"use strict";
(() => {
  const at = (id) => document.getElementById(id);
  const typing = (node) => node.matches("input:not([type=checkbox]):not([type=radio]), textarea, select");

  // Rows of a list: j and k move the focus from one link to the next.
  const step = (by) => {
    const rows = [...document.querySelectorAll("#rows a.row")];
    if (!rows.length) return;
    const now = rows.indexOf(document.activeElement);
    const next = now < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.min(rows.length - 1, Math.max(0, now + by));
    rows[next].focus();
  };
  const follow = (id) => { const link = at(id); if (link) link.click(); return Boolean(link); };
  const judgments = () => [...document.querySelectorAll("details.judgment")];
  const fold = () => {
    const open = judgments().some((one) => !one.open);
    for (const one of judgments()) one.open = open;
  };
  const ACTIONS = {
    j: () => follow("next") || (at("previous") ? null : step(1)),
    k: () => follow("previous") || (at("next") ? null : step(-1)),
    u: () => follow("up"),
    r: () => follow("raw"),
    o: fold,
    "/": () => at("q") && at("q").focus(),
    "?": () => at("keys") && at("keys").showModal(),
  };
  // Labelling: everything by one key, so that the eyes stay on the texts.
  const form = at("label");
  const questions = form ? [...form.querySelectorAll(".ask")] : [];
  const asked = () => {  // the question that a key answers: where the focus is, or the first one open; -1 when all are answered
    const here = questions.findIndex((one) => one.contains(document.activeElement));
    return here >= 0 ? here : questions.findIndex((one) => !one.querySelector(":checked"));
  };
  const ask = (number) => questions[Math.min(questions.length - 1, Math.max(0, number))].querySelector("input").focus();
  const choose = (value) => {
    if (questions.length) {
      const now = asked(), choice = now >= 0 && questions[now].querySelector(`input[value="${value}"]`);
      if (!choice) return;
      choice.checked = true;
      if (now + 1 < questions.length) ask(now + 1); else form.querySelector("button.main").focus();
      return;
    }
    const choice = form.querySelector(`input[type=radio][value="${value}"]`);
    if (choice) { choice.checked = true; choice.focus(); return; }
    const ranking = at("ranking");
    if (ranking && /[1-9]/.test(value) && !ranking.value.includes(value)) ranking.value = `${ranking.value} ${value}`.trim();
    const score = form.querySelector(`input[name="score.${value}"]`);
    if (score) score.focus();
  };
  if (form) {
    for (let digit = 1; digit <= 9; digit += 1) ACTIONS[digit] = () => choose(String(digit));
    Object.assign(ACTIONS, {
      t: () => choose("tie"), p: () => choose("pass"), f: () => choose("fail"),
      s: () => at("skip").click(),
      n: () => at("note").focus(),
      Backspace: () => { if (at("ranking")) at("ranking").value = at("ranking").value.replace(/ ?\S$/, ""); },
      Enter: () => form.querySelector("button.main").click(),
    });
    if (questions.length) Object.assign(ACTIONS, { j: () => ask(asked() + 1), k: () => ask((asked() < 0 ? questions.length : asked()) - 1) });
    form.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && typing(event.target)) event.target.blur();
    });
  }

  document.addEventListener("keydown", (event) => {
    if (event.target.matches("a, button, summary") && event.key === "Enter") return;
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (typing(event.target) || document.querySelector("dialog[open]")) return;
    const action = ACTIONS[event.key];
    if (action) { event.preventDefault(); action(); }
  });

  // Where the filters stand above the list, they are folded until asked for.
  const filtering = document.querySelector("details.filtering");
  if (filtering && window.matchMedia("(max-width: 700px)").matches) filtering.open = false;

  // What is asked for behind the page may fail: a run is deleted, the viewer ends. What is there stays, and a notice says why.
  const tell = (text) => { at("notice").textContent = text; at("notice").hidden = !text; };
  document.addEventListener("htmx:responseError", (event) => {
    const { xhr, elt } = event.detail;
    const said = new DOMParser().parseFromString(xhr.responseText, "text/html").querySelector("main p");
    tell(`What is shown here is old: ${said ? said.textContent : xhr.statusText}.`);
    if (!elt.matches("[hx-trigger^=every]")) return;
    const still = elt.cloneNode(true);  // one that is not asked for again and again
    for (const name of ["hx-get", "hx-trigger"]) still.removeAttribute(name);
    elt.replaceWith(still);
  });
  document.addEventListener("htmx:sendError", () => tell("What is shown here is old: the viewer does not answer. Start it again."));
  document.addEventListener("htmx:afterRequest", (event) => { if (event.detail.successful) tell(""); });

  const reveal = () => {
    const target = location.hash && at(decodeURIComponent(location.hash.slice(1)));
    if (target && target.matches("details")) { target.open = true; target.scrollIntoView(); }
  };
  window.addEventListener("hashchange", reveal);
  document.addEventListener("click", (event) => {  // a link to the place one is at already changes no address
    const link = event.target.closest("a[href^='#']");
    if (link) setTimeout(reveal);
  });
  for (const id of ["fold", "keys-button"]) if (at(id)) at(id).hidden = false;
  if (at("fold")) at("fold").addEventListener("click", fold);
  if (at("keys-button")) at("keys-button").addEventListener("click", () => at("keys").showModal());
  reveal();
})();
