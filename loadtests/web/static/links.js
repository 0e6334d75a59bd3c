// Link rules: what is in force, and the form that sets and clears rules. The ensemble decides what
// a valid link or rule is; its words are shown as they come.

import { byId, el, figure, keyed, setText } from "./dom.js";
import { ask } from "./server.js";

const EVERY_MS = 2000;
let timer = null;

export function begin(isVisible) {
  byId("rule-form").addEventListener("submit", (event) => {
    event.preventDefault();
    order("links/set", { links: byId("link").value, rule: byId("rule").value });
  });
  byId("clear-link").addEventListener("click", () => order("links/clear", { links: byId("link").value }));
  byId("clear-all").addEventListener("click", () => order("links/clear", { links: "*->*" }));
  look(isVisible);
}

async function look(isVisible) {
  clearTimeout(timer);
  if (isVisible()) await refresh();
  timer = setTimeout(() => look(isVisible), EVERY_MS);
}

async function refresh() {
  try {
    show(await ask("links"));
  } catch (error) {
    show({ members: [], links: [] }, error.message);
  }
}

async function order(path, values) {
  const buttons = [...document.querySelectorAll("#links button")];
  for (const button of buttons) button.disabled = true;
  try {
    const done = await ask(path, values);
    say(done.rule ? `${done.links.join(", ")}: ${done.rule} is in force` : cleared(done), false);
  } catch (error) {
    say(error.message, true);
  }
  for (const button of buttons) button.disabled = false;
  await refresh();
}

function cleared({ links, released }) {
  const where = links === "*->*" ? "all links" : links;
  return `${where}: no rule any more; ${figure(released)} waiting messages went on`;
}

function say(words, isBad) {
  const answer = byId("answer");
  setText(answer, words);
  answer.classList.toggle("bad", isBad);
  for (const input of [byId("link"), byId("rule")]) {
    if (isBad) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
  }
}

function show({ members, links }, trouble = "") {
  keyed(byId("members"), members, (m) => m.address, () => el("li"), (node, member) => {
    const name = member.sid ? `member ${member.sid}` : member.address;
    setText(node, `${name}: ${member.role}`);
    node.className = member.role;
  });
  keyed(byId("link-names"), linkNames(links), (name) => name, (name) => el("option", { value: name }), () => {});
  const rows = links.flatMap((link) => link.rules.map((rule) => ({ ...rule, link })));
  keyed(byId("rules"), rows, ({ link, rule }) => `${link.link} ${rule}`, makeRule, updateRule);
  byId("rules").parentElement.hidden = rows.length === 0;
  byId("no-rules").hidden = rows.length > 0;
  setText(byId("no-rules"), trouble || "No rule: every link is as fast as the machine.");
  byId("no-rules").classList.toggle("bad", trouble !== "");
}

function linkNames(links) {
  const names = links.map(({ link }) => link);
  const senders = [...new Set(names.map((name) => name.split("->")[0]))];
  return [...names, ...senders.flatMap((sid) => [`${sid}->*`, `*->${sid}`])];
}

function makeRule({ link, rule }) {
  const button = el("button", { type: "button", class: "small", "aria-label": `Clear link ${link.link}` }, "Clear");
  button.addEventListener("click", () => order("links/clear", { links: link.link }));
  const cells = [el("td", { class: "number" }), el("td", { class: "number" }), el("td", {}, button)];
  return el("tr", {}, el("th", { scope: "row" }, link.link), el("td", {}, el("code", {}, rule)), ...cells);
}

function updateRule(node, { link, touched }) {
  setText(node.children[2], figure(touched));
  setText(node.children[3], figure(link.waiting));
  node.classList.toggle("idle", touched === 0);
}
