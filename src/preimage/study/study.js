"use strict";

const part = (id) => document.getElementById(id);
const sides = { ArrowLeft: "left", ArrowRight: "right" };
let key = "";        // where this study's token is kept
let token = null;
let current = null;  // the question on the screen, once both of its pictures are

class Refused extends Error {
  constructor(status) {
    super(`the server answered ${status}`);
    this.status = status;
  }
}

async function ask(method, path, body) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const text = body && JSON.stringify(body);
  const answer = await fetch(path, { method, headers, body: text, cache: "no-store" });
  if (!answer.ok) throw new Refused(answer.status);
  return answer.json();
}

// Without storage (some private windows) a reload begins anew; the study still works.
function stored() {
  try { return localStorage.getItem(key); } catch { return null; }
}

function store(value) {
  try { localStorage.setItem(key, value); } catch { /* see stored() */ }
}

function show(id) {
  for (const section of document.querySelectorAll("section")) section.hidden = section.id !== id;
}

function trouble(words) {
  part("trouble").textContent = words;
  part("trouble").hidden = !words;
}

async function begin() {
  try {
    const study = await ask("GET", "/study");
    key = `preimage-study-${study.id}`;
    part("count").textContent = study.questions;
    token = stored();
    const question = token && await resumed();
    if (question && (question.done || question.number > 0)) await put(question);
    else show("welcome");
    trouble("");
  } catch {
    trouble("The study can't be reached. Check the connection, then reload this page.");
  }
}

async function resumed() {
  try {
    return await ask("GET", "/question");
  } catch (error) {
    if (error.status !== 403) throw error;
    token = null;  // not a token of this study: begin anew
    return null;
  }
}

async function start() {
  part("start").disabled = true;
  try {
    if (!token) {
      token = (await ask("POST", "/subjects")).token;
      store(token);
    }
    await put(await ask("GET", "/question"));
    trouble("");
  } catch {
    trouble("The study can't be reached. Check the connection, then press Start again.");
  }
  part("start").disabled = false;
}

async function put(question) {
  if (question.done) {
    current = null;
    show("done");
    return;
  }
  const pictures = ["left", "right"].map((side) => {
    const picture = new Image();
    picture.src = question[side];
    return picture.decode().then(() => picture.src);
  });
  const [left, right] = await Promise.all(pictures);
  part("left-picture").src = left;
  part("right-picture").src = right;
  part("bar").max = question.questions;
  part("bar").value = question.number;
  part("place").textContent = `${question.number + 1} of ${question.questions}`;
  for (const side of ["left", "right"]) part(side).classList.remove("chosen");
  part("pair").classList.remove("busy");
  document.activeElement?.blur();
  show("question");
  current = question;
}

async function choose(side) {
  if (!current) return;
  const question = current;
  current = null;
  part(side).classList.add("chosen");
  part("pair").classList.add("busy");
  try {
    await put(await answered(question.number, side));
    trouble("");
  } catch {
    part(side).classList.remove("chosen");
    part("pair").classList.remove("busy");
    current = question;
    trouble("Your choice could not be saved. Check the connection, then choose again.");
  }
}

async function answered(number, choice) {
  try {
    return await ask("POST", "/votes", { number, choice });
  } catch (error) {
    if (error.status !== 409) throw error;
    return ask("GET", "/question");  // answered already, by another tab or before the connection broke
  }
}

document.addEventListener("keydown", (event) => {
  if (event.repeat || event.altKey || event.ctrlKey || event.metaKey || !(event.key in sides)) return;
  event.preventDefault();
  choose(sides[event.key]);
});
part("left").addEventListener("click", () => choose("left"));
part("right").addEventListener("click", () => choose("right"));
part("start").addEventListener("click", start);
begin();
