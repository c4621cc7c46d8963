// The packs that can be begun, then the rating page itself, in a frame. What the page has to say goes
// to Python as a trigger, one message at a time; each answer comes back as data. The browser keeps
// the ticket of a pack that it began, so that it goes on after a reload. All text is set as text.
const desks = new WeakMap();
const PATIENCE_MS = 120000;  // a page of many clips is encoded first
const VOTE_MS = 10000;  // a vote that got lost with the connection is soon sent again: it counts once

export default function (component) {
  const { parentElement } = component;
  if (!desks.has(parentElement)) desks.set(parentElement, makeDesk(parentElement));
  desks.get(parentElement).refresh(component);
  return () => {
    desks.get(parentElement).leave();
    desks.delete(parentElement);
  };
}

function make(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}

function makeDesk(parentElement) {
  const root = parentElement.querySelector(".ballot");
  const pending = new Map();
  const tickets = new Map();  // for browsers that keep nothing
  let data, trigger, frame, note = "", isBusy = false, spoken, last = Promise.resolve();

  // --- messages -----------------------------------------------------------------------------------

  const ask = (path, fields, patience = PATIENCE_MS) => {
    const reply = last.then(() => askNow(path, fields, patience));
    last = reply;
    return reply;
  };
  const askNow = (path, fields, patience) => new Promise((resolve) => {
    const id = `${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}`;
    const end = (reply) => {
      clearTimeout(timer);
      pending.delete(id);
      resolve(reply);
    };
    const timer = setTimeout(() => end({ status: 0, body: "" }), patience);
    pending.set(id, end);
    trigger("asked", { id, path, ...fields });
  });

  // --- tickets ------------------------------------------------------------------------------------

  const place = (form) => `ballot-${data.ballot}-${form}`;
  const held = (form) => {
    // A browser whose storage is full or closed reads without an error and keeps nothing.
    let kept = null;
    try { kept = localStorage.getItem(place(form)); } catch { /* it may not be read either */ }
    return kept || tickets.get(place(form)) || null;
  };
  const hold = (form, ticket) => {
    tickets.set(place(form), ticket);
    try { localStorage.setItem(place(form), ticket); } catch { /* it lasts until a reload */ }
  };
  const chosen = (form) => {
    // The ticket of a pack that is about to be begun: asked for again, it stands for the same pack.
    const key = `${form}-chosen`;
    const bytes = crypto.getRandomValues(new Uint8Array(24));
    if (!held(key)) hold(key, Array.from(bytes, (one) => one.toString(16).padStart(2, "0")).join(""));
    return held(key);
  };
  const drop = (form) => {
    tickets.delete(place(form));
    try { localStorage.removeItem(place(form)); } catch { /* nothing was kept */ }
  };

  // --- what is seen -------------------------------------------------------------------------------

  const busy = (is, said = "") => {
    isBusy = is;
    note = said;
    draw();
  };
  const draw = () => {
    if (frame) return;
    const cards = make("div", "cards");
    cards.append(...data.forms.map(card));
    const line = make("p", isBusy ? "note" : "note bad", isBusy ? data.words.loading : note);
    line.setAttribute("role", "status");
    root.replaceChildren(cards, line);
  };
  const card = ({ form, title, about, left, is_left }) => {
    const made = make("section");
    const isBegun = Boolean(held(form));
    const button = make("button", "", isBegun ? data.words.go_on : data.words.begin);
    button.type = "button";
    button.dataset.form = form;
    button.disabled = isBusy || !(isBegun || is_left);
    button.onclick = () => enter(form);
    made.append(make("b", "", title), make("p", "", about), make("small", "", left), button);
    return made;
  };
  const enter = async (form) => {
    busy(true);
    if (!held(form)) {
      const reply = await ask("begin", { form, ticket: chosen(form) });
      if (reply.status !== 200) return busy(false, why(reply));
      hold(form, JSON.parse(reply.body).ticket);
      drop(`${form}-chosen`);
    }
    await show(form);
  };
  const show = async (form) => {
    const ticket = held(form);
    const reply = await ask("page", { ticket, language: data.language });
    if (reply.status !== 200) {
      if (JSON.parse(reply.body || "{}").error === "no such ticket") drop(form);
      leave();
      return busy(false, why(reply));
    }
    isBusy = false;
    note = "";
    open(form, ticket, reply.body);
  };
  const why = ({ status, body }) => {
    const said = JSON.parse(body || "{}").error || "";
    if (status === 0) return data.words.no_answer;
    if (status === 404) return data.words.none_left;
    if (said === "no such ticket") return data.words.gone;
    return status === 403 ? data.words.refused : data.words.failed;
  };
  const open = (form, ticket, page) => {
    leave();
    const close = make("button", "close", data.words.close);
    close.type = "button";
    close.onclick = () => { leave(); draw(); };
    frame = make("iframe");
    frame.title = data.words.frame;
    frame.carrier = {
      async post(path, content, patience) {
        const body = JSON.stringify(content);
        const silence = path === "vote" ? VOTE_MS : patience;
        const reply = await ask(path, { ticket, body }, silence);
        if (path === "finish" && reply.status === 200) drop(form);
        return { status: reply.status, json: async () => JSON.parse(reply.body) };
      },
      again: () => show(form),
    };
    frame.onload = () => {
      spoken = "";
      speak();
      frame.contentWindow.focus();
    };
    frame.srcdoc = page;
    root.replaceChildren(close, frame);
    close.scrollIntoView({ block: "start" });
  };
  const speak = () => {
    // The page follows when the dashboard's language is switched; its own switch may do otherwise.
    const inside = frame && frame.contentDocument && frame.contentDocument.getElementById("language");
    if (!inside || spoken === data.language) return;
    spoken = data.language;
    root.querySelector(".close").textContent = data.words.close;
    frame.title = data.words.frame;
    if (frame.contentDocument.documentElement.lang !== spoken) inside.click();
  };
  const leave = () => {
    if (frame) frame.remove();  // the page keeps its state first: it hears `pagehide`
    frame = undefined;
  };

  return {
    refresh(component) {
      data = component.data;
      trigger = component.setTriggerValue;
      const end = data.reply && pending.get(data.reply.id);
      if (end) end(data.reply);
      if (frame) speak();
      else draw();
    },
    leave,
  };
}
