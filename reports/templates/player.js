// Clips of one prompt, kept in step. The first playable clip leads; the others follow it: whoever
// is more than half a frame off is set right. All text is set as text, never as markup.
export default function (component) {
  const { data, parentElement } = component;
  const root = parentElement.querySelector(".player");
  const words = data.words;
  const step = 1 / data.fps;
  const urls = [];
  let videos = [];
  let request = 0;
  let playing = false;

  const make = (tag, name, text) => {
    const made = document.createElement(tag);
    if (name) made.className = name;
    if (text) made.textContent = text;
    return made;
  };

  const address = (film) => {
    const bytes = Uint8Array.from(atob(film.base64), (c) => c.charCodeAt(0));
    urls.push(URL.createObjectURL(new Blob([bytes], { type: film.type })));
    return urls[urls.length - 1];
  };

  const screen = (tile) => {
    const video = make("video");
    Object.assign(video, { muted: true, playsInline: true, preload: "auto", src: tile.url });
    video.setAttribute("aria-label", tile.said);
    video.addEventListener("error", () => {
      const gap = make("span", "gap", words.unreadable);
      videos = videos.filter((one) => one !== video);
      video.replaceWith(gap);
    });
    videos.push(video);
    return video;
  };

  const figure = (tile) => {
    const made = make("figure", tile.word ? "lost" : "");
    const caption = make("figcaption");
    caption.append(make("b", "", tile.name));
    if (tile.role) caption.append(make("span", "role", tile.role));
    made.append(caption);
    if (tile.word) made.append(make("span", "word", tile.word));
    made.append(tile.url ? screen(tile) : make("span", "gap", tile.reason || words.absent));
    if (tile.url && tile.reason) made.append(make("small", "", tile.reason));
    tile.facts.forEach((fact) => made.append(make("small", "", fact)));
    return made;
  };

  // --- time ---------------------------------------------------------------------------------------

  const lead = () => videos[0];
  const place = () => {
    const now = lead() ? Math.floor(lead().currentTime / step + 0.01) : 0;
    return Math.max(0, Math.min(data.frames - 1, now));
  };
  const tell = () => {
    const frame = place();
    slider.value = frame;
    root.dataset.frame = frame;
    root.dataset.playing = playing;
    count.textContent = words.frame.replace("{n}", frame + 1).replace("{of}", data.frames);
    toggle.textContent = playing ? words.pause : words.play;
  };
  const show = (frame) => {
    const wanted = Math.max(0, Math.min(data.frames - 1, frame));
    videos.forEach((video) => (video.currentTime = (wanted + 0.5) * step));
    tell();
  };
  const start = () => {
    videos.forEach((video) => {
      video.playbackRate = Number(speed.value);
      video.play().catch(() => {});
    });
  };
  const tick = () => {
    if (!playing) return;
    if (lead().ended) {
      if (!loop.checked) return pause();
      videos.forEach((video) => (video.currentTime = 0));
      start();
    }
    videos.slice(1).forEach((video) => {
      const off = Math.abs(video.currentTime - lead().currentTime);
      if (off > step / 2 && !video.seeking) video.currentTime = lead().currentTime;
    });
    tell();
    request = requestAnimationFrame(tick);
  };
  const play = () => {
    if (!lead() || playing) return;
    if (place() >= data.frames - 1) videos.forEach((video) => (video.currentTime = 0));
    playing = true;
    start();
    tick();
  };
  const pause = () => {
    playing = false;
    cancelAnimationFrame(request);
    videos.forEach((video) => video.pause());
    show(place());
  };

  // --- what is seen -------------------------------------------------------------------------------

  const button = (name, label, act) => {
    const made = make("button", name, label);
    made.type = "button";
    made.onclick = act;
    return made;
  };
  const toggle = button("toggle", words.play, () => (playing ? pause() : play()));
  const back = button("back", words.back, () => { pause(); show(place() - 1); });
  const forth = button("forth", words.forth, () => { pause(); show(place() + 1); });
  const slider = make("input", "scrub");
  Object.assign(slider, { type: "range", min: 0, max: data.frames - 1, step: 1, value: 0 });
  slider.setAttribute("aria-label", words.scrub);
  slider.oninput = () => { const frame = Number(slider.value); pause(); show(frame); };
  const count = make("span", "count");
  const loop = make("input");
  Object.assign(loop, { type: "checkbox", checked: true });
  const looped = make("label", "", "");
  looped.append(loop, words.loop);
  const speed = make("select");
  speed.setAttribute("aria-label", words.speed);
  [0.25, 0.5, 1].forEach((rate) => speed.add(new Option(`×${rate}`, rate, rate === 1, rate === 1)));
  speed.onchange = () => videos.forEach((video) => (video.playbackRate = Number(speed.value)));

  const bar = make("div", "bar");
  bar.append(toggle, back, forth, slider, count, speed, looped);
  const tiles = data.tiles.map((tile) => ({ ...tile, url: tile.film ? address(tile.film) : "" }));
  const grid = make("div", "grid");
  grid.append(...tiles.map(figure));
  root.style.setProperty("--shape", `${data.width} / ${data.height}`);
  root.style.setProperty("--sharp", data.width < 128 ? "pixelated" : "auto");
  root.replaceChildren(bar, grid, ...wiper());
  root.onkeydown = (event) => {
    const act = { " ": toggle, ArrowLeft: back, ArrowRight: forth }[event.key];
    if (!act || ["INPUT", "SELECT", "BUTTON"].includes(event.target.tagName)) return;
    event.preventDefault();
    act.click();
  };
  videos.forEach((video) => (video.onloadeddata = tell));
  tell();

  // Two clips over each other, parted by a line that can be moved.
  function wiper() {
    const playable = tiles.filter((tile) => tile.url);
    if (playable.length < 2) return [];
    const box = make("details", "wipe");
    const pair = make("div", "pair");
    const line = make("input");
    Object.assign(line, { type: "range", min: 0, max: 100, value: 50 });
    line.setAttribute("aria-label", words.wipe);
    const side = (first) => {
      const chosen = make("select");
      playable.forEach((tile, n) => chosen.add(new Option(tile.name, n, n === first, n === first)));
      chosen.setAttribute("aria-label", first ? words.right : words.left);
      chosen.onchange = fill;
      return chosen;
    };
    const cut = () => pair.style.setProperty("--cut", `${line.value}%`);
    const fill = () => {
      videos = videos.filter((video) => !pair.contains(video));
      pair.replaceChildren(...sides.map((chosen) => screen(playable[Number(chosen.value)])));
      const [frame, going] = [place(), playing];
      pair.querySelectorAll("video").forEach((video) => {
        video.currentTime = (frame + 0.5) * step;
        if (going) video.play().catch(() => {});
      });
    };
    const sides = [side(0), side(1)];
    line.oninput = cut;
    box.ontoggle = () => {
      if (box.open) return fill();
      videos = videos.filter((video) => !pair.contains(video));
      pair.replaceChildren();
    };
    const choice = make("div", "sides");
    choice.append(...sides);
    box.append(make("summary", "", words.wipe), choice, pair, line);
    cut();
    return [box];
  }

  return () => {
    playing = false;
    cancelAnimationFrame(request);
    urls.forEach((url) => URL.revokeObjectURL(url));
  };
}
