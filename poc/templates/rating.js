"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const page = document.getElementById("page");
const key = "rating-" + data.pack_id;
const single = data.form === "clips";
const NO_REASON = "yes";  // the one verdict that needs none
// Within the dashboard, whoever framed this page carries its words; elsewhere it sends them itself.
const carrier = window.frameElement && window.frameElement.carrier;
const state = restored();
let trialSince = 0, current = 0, stopVideos = () => {};

function restored() {
  const fresh = { language: data.language, rater: data.pseudonym, at: -1, trials: {},
    sequence: 0, unsent: {} };
  let found = fresh;
  try {
    const kept = JSON.parse(localStorage.getItem(key));
    if (kept && kept.trials) found = Object.assign(fresh, kept);
  } catch { /* a browser that keeps nothing begins anew */ }
  return data.server ? withStored(found) : found;
}
function withStored(found) {
  // What the server has counts, but for answers that were given here and did not reach it yet.
  const { rater, sequence, trials, closed } = data.server;
  if (rater && !Object.keys(found.trials).length) found.rater = rater;
  found.sequence = Math.max(found.sequence, sequence);
  if (closed) found.unsent = {};
  for (const [id, known] of Object.entries(found.trials)) {
    if (isWhole(known) && !trials[id] && !closed && !found.unsent[id]) found.unsent[id] = ++found.sequence;
  }
  for (const [id, known] of Object.entries(trials)) {
    if (!found.unsent[id]) found.trials[id] = known;
  }
  return found;
}
function keep() {
  // A browser that keeps nothing (private windows, files) still rates and still saves the file.
  try { localStorage.setItem(key, JSON.stringify(state)); } catch { /* nothing to mend here */ }
}
function text(name, values = {}) {
  // What is said of pairs is said of single clips too, unless they have words of their own.
  const texts = data.texts[state.language];
  const found = (single && texts[name + "_clips"]) || texts[name];
  return found.replace(/\{(\w+)\}/g, (_, word) => values[word]);
}
function make(tag, options = {}, ...children) {
  const { on, ...properties } = options;
  const node = Object.assign(document.createElement(tag), properties);
  if (on) node.addEventListener("click", on);
  node.append(...children);
  return node;
}
function record(trial) {
  return state.trials[trial.id] ??= { answers: {}, seconds: 0, plays: 0 };
}
function isWhole(known) {
  if (!single) return data.questions.every((question) => known.answers[question]);
  const { verdict, reasons = [] } = known.answers;
  return Boolean(verdict) && (verdict === NO_REASON || reasons.length > 0);
}
function isDone(trial) {
  const known = state.trials[trial.id];
  return Boolean(known) && isWhole(known);
}
function answered() { return data.trials.filter(isDone).length; }

function go(place) {
  leaveTrial();
  state.at = place;
  keep();
  draw();
  scrollTo(0, 0);
}
function leaveTrial() {
  stopVideos();
  stopVideos = () => {};
  countTime();
  trialSince = 0;
}
function countTime() {
  // Time in which the trial was to be seen: a window behind another one counts for nothing.
  const trial = data.trials[state.at];
  if (trial && trialSince) record(trial).seconds += (performance.now() - trialSince) / 1000;
  trialSince = document.hidden ? 0 : performance.now();
}
function draw() {
  showKept();
  document.documentElement.lang = state.language;
  document.title = text("title");
  const language = document.getElementById("language");
  language.textContent = text("other_language");
  language.lang = state.language === "ja" ? "en" : "ja";
  const at = state.at;
  document.getElementById("place").textContent = at < 0 ? text("short_title")
    : text("progress", { at: at < data.trials.length ? at + 1 : answered(), of: data.trials.length });
  document.getElementById("done").style.width = (100 * answered()) / data.trials.length + "%";
  if (refused) drawRefused();
  else if (at < 0) drawStart();
  else if (at < data.trials.length) drawTrial(data.trials[at]);
  else drawEnd();
}

// --- start and end ---------------------------------------------------------------------------------

function list(name) {
  return make("ul", {}, ...text(name).split("\n").map((line) => make("li", { textContent: line })));
}
function drawStart() {
  const counts = { trials: data.trials.length, minutes: data.minutes };
  const name = make("input", { id: "rater", maxLength: 40, value: state.rater, autocomplete: "off" });
  name.addEventListener("input", () => { state.rater = name.value; keep(); });
  const begin = make("button", { type: "button", className: "main", textContent: text("begin"),
    on: () => { if (cleanName()) go(firstOpen()); else name.focus(); } });
  page.replaceChildren(make("div", { className: "text" },
    make("h1", { textContent: text("title") }),
    ...(data.demonstration ? [make("p", { className: "bad", textContent: text("demonstration") })] : []),
    make("p", { textContent: text("purpose") }),
    make("p", { textContent: text("blind") }),
    make("h2", { textContent: text("how") }), list("how_lines"),
    make("p", { textContent: text("time", counts) }),
    make("h2", { textContent: text("stored") }), list(data.server ? "stored_lines_served" : "stored_lines"),
    make("label", { htmlFor: "rater", textContent: text("rater") }), name,
    make("p", { className: "soft", textContent: text("rater_note") }),
    make("div", { className: "row" }, begin)));
}
function cleanName() {
  return state.rater.replace(/[\u0000-\u001f\u007f-\u009f]/g, " ").trim();
}
function firstOpen() {
  const open = data.trials.findIndex((trial) => !isDone(trial));
  return open < 0 ? data.trials.length : open;
}
function drawEnd() {
  if (data.server && data.server.closed) {
    return page.replaceChildren(make("div", { className: "text" },
      make("h1", { textContent: text("finished") })));
  }
  const open = data.trials.length - answered();
  const parts = [make("h1", { textContent: text(open ? "end_open" : "end", { open }) }),
    make("p", { textContent: text(endWords(), { file: fileName() }) }),
    make("div", { className: "row" },
      make("button", { type: "button", textContent: text("back"), on: () => go(state.at - 1) }),
      endButton())];
  if (open) parts.splice(2, 0, make("p", {}, make("button", { type: "button",
    textContent: text("to_open"), on: () => go(firstOpen()) })));
  page.replaceChildren(make("div", { className: "text" }, ...parts));
}
function endWords() {
  if (!data.server) return "end_what";
  return waiting() ? "end_waiting" : "end_served";
}
function endButton() {
  if (data.server && !waiting()) {
    return make("button", { type: "button", id: "finish", className: "main",
      textContent: text("finish"), on: finish, disabled: !answered() });
  }
  return make("button", { type: "button", className: "main", textContent: text("save"), on: save });
}
function fileName() { return "answers-" + data.pack_id + ".json"; }
function answerFile() {
  return {
    format_version: 1, panel_id: data.panel_id, pack_id: data.pack_id,
    ...whoAnswers(), trials: data.trials.map(trialAnswer),
  };
}
function whoAnswers() {
  return { rater: cleanName() || data.pseudonym, language: state.language,
    viewport_width_px: Math.max(1, innerWidth), viewport_height_px: Math.max(1, innerHeight) };
}
function trialAnswer(trial) {
  const known = state.trials[trial.id];
  const said = isDone(trial) ? known.answers : null;
  return { trial_id: trial.id, answers: single ? null : said, judgement: single ? said : null,
    duration_s: known ? Math.round(known.seconds * 100) / 100 : null,
    plays: known ? known.plays : 0 };
}
function save() {
  leaveTrial();
  const blob = new Blob([JSON.stringify(answerFile(), null, 1)], { type: "application/json" });
  const link = make("a", { href: URL.createObjectURL(blob), download: fileName() });
  document.body.append(link);
  link.click();
  link.remove();
}

// --- to the server ---------------------------------------------------------------------------------

const FIRST_WAIT_MS = 1000, LONGEST_WAIT_MS = 15000, SILENCE_MS = 30000;
let sending = false, wait = FIRST_WAIT_MS, tryNow = () => {};
let refused = 0;  // the status with which the server turned this page away; nothing is sent any more
function waiting() { return Object.keys(state.unsent).length; }
function changed(trial) {
  if (!data.server || data.server.closed) return;
  countTime();
  state.sequence += 1;
  state.unsent[trial.id] = state.sequence;
  keep();
  send();
}
function showKept() {
  if (!data.server) return;
  const node = document.getElementById("kept"), n = waiting();
  if (data.server.closed) node.textContent = text("closed");
  else if (refused) node.textContent = text("not_stored", { n });
  else node.textContent = n ? text("waiting", { n }) : text("kept", { n: answered() });
  node.classList.toggle("bad", n > 0);
}
async function send() {
  if (sending || refused || !data.server) return;
  sending = true;
  showKept();
  for (let id; (id = Object.keys(state.unsent)[0]);) {
    const sequence = state.unsent[id];
    const trial = data.trials.find((one) => one.id === id);
    const reply = await post("vote", { ...whoAnswers(), sequence, trial: trialAnswer(trial) });
    if (reply.status === 200) {
      if (state.unsent[id] === sequence) delete state.unsent[id];
    } else if (reply.status === 409) {  // answered in another window meanwhile: the later one counts
      state.sequence = Math.max(state.sequence, (await reply.json()).sequence) + 1;
      state.unsent[id] = state.sequence;
    } else if (reply.status === 410) {
      state.unsent = {};
      data.server.closed = true;
    } else if (mayPass(reply.status)) {
      await patience();
      continue;
    } else {
      turnedAway(reply.status);
      break;
    }
    wait = FIRST_WAIT_MS;
    keep();
    showKept();
  }
  sending = false;
  if (!refused && state.at >= data.trials.length) drawEnd();
}
async function post(path, content) {
  try {
    if (carrier) return await carrier.post(path, content, SILENCE_MS);
    return await fetch(path, { method: "POST", body: JSON.stringify(content),
      headers: { "Content-Type": "application/json" }, signal: AbortSignal.timeout(SILENCE_MS) });
  } catch { return { status: 0 }; }
}
function mayPass(status) {
  // No answer, or a server in trouble: the same words may be taken later. Others never will be.
  return status === 0 || status === 408 || status === 429 || status >= 500;
}
function patience() {
  const rest = wait * (0.75 + Math.random() / 2);  // so that raters do not all come back at once
  wait = Math.min(2 * wait, LONGEST_WAIT_MS);
  return new Promise((again) => { tryNow = again; setTimeout(again, rest); });
}
function turnedAway(status) {
  leaveTrial();
  keep();
  refused = status;
  draw();
}
function drawRefused() {
  const out = carrier ? "refused_here" : "refused_invitation";
  const why = refused === 401 || refused === 403 ? out : "refused_answer";
  page.replaceChildren(make("div", { className: "text", id: "refused" },
    make("h1", { className: "bad", textContent: text("refused") }),
    make("p", { textContent: text(why) }),
    make("p", { textContent: text("refused_kept", { n: waiting(), file: fileName() }) }),
    make("div", { className: "row" },
      make("button", { type: "button", textContent: text("try_again"), on: tryAgain }),
      make("button", { type: "button", className: "main", textContent: text("save"), on: save }))));
}
function tryAgain() {
  // A new link may have been opened beside this window; a page that does not fit is fetched anew.
  if (refused !== 401 && refused !== 403) return carrier ? carrier.again() : location.reload();
  refused = 0;
  draw();
  send();
}
async function finish(event) {
  event.currentTarget.disabled = true;
  const reply = await post("finish", {});
  if (reply.status === 200) data.server.closed = true;
  else if (!mayPass(reply.status)) return turnedAway(reply.status);
  showKept();
  drawEnd();
  if (reply.status !== 200) {
    page.querySelector(".row").before(
      make("p", { className: "bad", id: "unfinished", textContent: text("not_finished") }));
  }
}

// --- one trial -------------------------------------------------------------------------------------

function drawTrial(trial) {
  const known = record(trial);
  trialSince = document.hidden ? 0 : performance.now();
  const prompt = state.language === "ja" && trial.prompt_ja ? trial.prompt_ja : trial.prompt;
  const sides = Object.keys(trial.sides);
  const videos = sides.map((side) => make("video",
    { muted: true, playsInline: true, preload: "auto", src: trial.sides[side] }));
  const hint = make("p", { className: "hint soft" });
  const figures = videos.map((video, n) => make("figure", {}, video,
    ...(single ? [] : [make("figcaption", { textContent: text(sides[n]) })])));
  page.replaceChildren(
    make("p", { className: "prompt" }, make("span", { className: "soft", textContent: text("asked") }),
      make("bdi", { dir: "auto", textContent: prompt })),
    make("div", { className: single ? "pair single" : "pair" }, ...figures), hint,
    ...(single ? drawVerdict(trial) : data.questions.map((question, n) => drawQuestion(trial, question, n))),
    make("div", { className: "row" },
      make("button", { type: "button", textContent: text("back"), on: () => go(state.at - 1) }),
      make("button", { type: "button", textContent: text("pause"), on: () => go(data.trials.length) }),
      make("button", { type: "button", id: "next", className: "main", textContent: text("next"),
        on: next })));
  current = single ? 0 : Math.max(0, data.questions.findIndex((question) => !known.answers[question]));
  playTogether(videos, hint, known);
  refresh(trial);
}
function choiceButton(name, key, chosen, on) {
  const button = make("button", { type: "button", textContent: text(name), on },
    make("kbd", { textContent: key }));
  button.dataset.choice = chosen;
  return button;
}
function drawSet(name, note, className, buttons) {
  const legend = make("legend", { textContent: text(name) });
  legend.append(make("small", { textContent: text(note) }));
  return make("fieldset", {}, legend, make("div", { className }, ...buttons));
}
function drawQuestion(trial, question, n) {
  const buttons = ["left", "same", "right"].map((choice, k) =>
    choiceButton(choice, k + 1, choice, () => answer(trial, n, choice)));
  const set = drawSet("q_" + question, "n_" + question, "choices", buttons);
  set.dataset.question = question;
  return set;
}
function drawVerdict(trial) {
  const verdicts = data.verdicts.map((verdict, k) =>
    choiceButton("v_" + verdict, k + 1, verdict, () => judge(trial, verdict)));
  const reasons = data.reasons.map((reason, k) =>
    choiceButton("r_" + reason, reasonKey(k), reason, () => toggle(trial, reason)));
  const sets = [drawSet("q_publish", "n_publish", "choices", verdicts),
    drawSet("q_reasons", "n_reasons", "reasons", reasons)];
  sets[0].dataset.question = "verdict";
  sets[1].dataset.question = "reasons";
  return sets;
}
function reasonKey(k) { return String((data.verdicts.length + 1 + k) % 10); }
function judge(trial, verdict) {
  const known = record(trial);
  if (!known.plays) return;
  const reasons = verdict === NO_REASON ? [] : known.answers.reasons || [];
  current = verdict === NO_REASON ? 0 : 1;
  settle(trial, { verdict, reasons });
}
function toggle(trial, reason) {
  const known = record(trial), { verdict, reasons = [] } = known.answers;
  if (!known.plays || !verdict || verdict === NO_REASON) return;
  const chosen = reasons.includes(reason) ? reasons.filter((one) => one !== reason) : [...reasons, reason];
  settle(trial, { verdict, reasons: data.reasons.filter((one) => chosen.includes(one)) });
}
function answer(trial, n, choice) {
  const known = record(trial);
  if (!known.plays) return;
  const answers = { ...known.answers, [data.questions[n]]: choice };
  const open = data.questions.findIndex((question) => !answers[question]);
  current = open < 0 ? Math.min(n + 1, data.questions.length - 1) : open;
  settle(trial, answers);
}
function settle(trial, answers) {
  // A whole answer that is whole no more is taken back: it is sent too, and does not count.
  const wasDone = isDone(trial);
  record(trial).answers = answers;
  if (wasDone || isDone(trial)) changed(trial);
  keep();
  refresh(trial);
}
function next() {
  const trial = data.trials[state.at];
  if (isDone(trial) || trial.broken) go(state.at + 1);
}
function refresh(trial) {
  const known = record(trial);
  if (single) refreshVerdict(known);
  else refreshQuestions(known);
  document.getElementById("next").disabled = !isDone(trial) && !trial.broken;
  document.getElementById("done").style.width = (100 * answered()) / data.trials.length + "%";
}
function refreshQuestions(known) {
  for (const set of document.querySelectorAll("fieldset")) {
    const question = set.dataset.question;
    set.classList.toggle("current", data.questions[current] === question && known.plays > 0);
    for (const button of set.querySelectorAll("button")) {
      button.disabled = !known.plays;
      button.setAttribute("aria-pressed", known.answers[question] === button.dataset.choice);
    }
  }
}
function refreshVerdict(known) {
  const { verdict, reasons = [] } = known.answers;
  const asksWhy = Boolean(known.plays && verdict) && verdict !== NO_REASON;
  document.querySelectorAll("fieldset").forEach((set, n) => {
    set.classList.toggle("current", known.plays > 0 && n === Number(asksWhy));
    for (const button of set.querySelectorAll("button")) {
      button.disabled = n ? !asksWhy : !known.plays;
      const chosen = n ? reasons.includes(button.dataset.choice) : verdict === button.dataset.choice;
      button.setAttribute("aria-pressed", chosen);
    }
  });
}
function playTogether(videos, hint, known) {
  const trial = data.trials[state.at];
  const ended = new Set();
  let timer = 0, stopped = false;
  const tell = (name, bad) => { hint.textContent = text(name); hint.classList.toggle("bad", bad); };
  const start = () => {
    if (stopped) return;
    ended.clear();
    for (const video of videos) { video.currentTime = 0; }
    Promise.all(videos.map((video) => video.play())).catch(() => {
      if (!stopped && !trial.broken) tell("press_play", false);
    });
  };
  tell(known.plays ? "answer" : "watch", false);
  videos.forEach((video) => {
    video.addEventListener("ended", () => {
      ended.add(video);
      if (ended.size < videos.length || stopped) return;
      known.plays += 1;
      tell("answer", false);
      refresh(trial);
      timer = setTimeout(start, 400);
    });
    video.addEventListener("error", () => {
      if (stopped) return;
      trial.broken = true;
      tell("broken", true);
      refresh(trial);
    });
    video.addEventListener("click", start);
  });
  const ready = () => { if (videos.every((video) => video.readyState >= 3)) start(); };
  videos.forEach((video) => video.addEventListener("canplaythrough", ready, { once: true }));
  stopVideos = () => {
    stopped = true;
    clearTimeout(timer);
    for (const video of videos) { video.pause(); video.removeAttribute("src"); video.load(); }
  };
}

// --- keys and language -----------------------------------------------------------------------------

function pressChoice(trial, key) {
  const choice = { 1: "left", 2: "same", 3: "right" }[key];
  if (choice) answer(trial, current, choice);
  return Boolean(choice);
}
function pressVerdict(trial, key) {
  const verdict = data.verdicts[Number(key || NaN) - 1];
  const reason = data.reasons.find((_, k) => reasonKey(k) === key);
  if (verdict) judge(trial, verdict);
  else if (reason) toggle(trial, reason);
  return Boolean(verdict || reason);
}
function entersNext(target, trial) {
  // Enter on a focused button presses it, but for an answer once all are given.
  return target.tagName !== "BUTTON" || (Boolean(target.dataset.choice) && isDone(trial));
}
document.addEventListener("keydown", (event) => {
  const trial = data.trials[state.at];
  if (!trial || refused || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (single ? pressVerdict(trial, event.key) : pressChoice(trial, event.key)) {
    event.preventDefault();
  } else if (event.key === "Enter" && entersNext(event.target, trial)) {
    event.preventDefault();
    next();
  } else if (!single && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
    event.preventDefault();
    const step = event.key === "ArrowUp" ? -1 : 1;
    current = Math.min(data.questions.length - 1, Math.max(0, current + step));
    refresh(trial);
  }
});
document.getElementById("language").addEventListener("click", (event) => {
  event.currentTarget.blur();
  leaveTrial();
  state.language = state.language === "ja" ? "en" : "ja";
  keep();
  draw();
});
document.addEventListener("visibilitychange", () => { if (!refused) countTime(); });
addEventListener("online", () => tryNow());
addEventListener("pagehide", () => { leaveTrial(); keep(); });
if (data.server && data.server.closed) state.at = data.trials.length;
draw();
send();
