// The page: a video and the curves of its faces; all texts are set as text, never as markup.
"use strict";
(() => {
  const SHOWN = 4; // faces whose curves are shown at first
  const find = (id) => document.getElementById(id);
  const video = find("video");
  let shown = null; // the timeline
  let plots = []; // of the faces that are shown: {track, plot, holder, curve}
  let current = 0; // which of them the keyboard and the bars are about
  const hidden = new Set(); // classes without a curve
  const chosen = new Set(); // faces with one

  function make(name, className, text, parent) {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    if (parent) parent.append(made);
    return made;
  }

  const percent = (value) => `${Math.round(100 * value)}%`;
  const now = () => Math.max(0, Math.min(video.currentTime, shown.video.duration - 1e-4));
  const look = (name) => shown.looks.find((one) => one.name === name);

  function best(probabilities) {
    return shown.looks.map((one) => one.name).reduce((a, b) => (probabilities[b] > probabilities[a] ? b : a));
  }

  // ---- which video: videos.js asks for it, its data calls this

  vfer.show = (timeline) => {
    shown = timeline;
    vfer.problem("");
    document.querySelector("main").hidden = false;
    document.title = find("title").textContent = timeline.video.path;
    video.src = timeline.file.split("/").map(encodeURIComponent).join("/");
    find("repeat").checked = video.loop = timeline.video.duration < 5;
    video.playbackRate = find("speed").value;
    aspect(timeline.video.width, timeline.video.height);
    hidden.clear();
    chosen.clear();
    const first = timeline.tracks.filter((one) => one.main).concat(timeline.tracks.filter((one) => !one.main));
    first.slice(0, SHOWN).forEach((one) => chosen.add(one.id));
    fillFaces();
    fillClasses();
    fillNotes();
    fillCurves();
    find("heating").hidden = !timeline.tracks.some((one) => one.windows.some((window) => window.explanation));
  };

  function aspect(width, height) {
    if (width && height) find("stage").style.setProperty("--aspect", width / height);
  }

  function fillNotes() {
    const { model, coverage } = shown;
    const folds = model.folds.join(", ");
    const told = [
      `${model.run}, trained on ${model.corpus}; ${model.folds.length > 1
        ? `the mean of the models of folds ${folds}` : `the model of fold ${folds}`}.`,
      `A face is seen in ${percent(coverage.face)} of the time; of ${coverage.windows} windows `
        + `${coverage.abstained} are undecided and ${coverage.doubtful} doubtful.`,
    ];
    find("notes").replaceChildren();
    for (const note of told.concat(shown.notes)) make("li", "", note, find("notes"));
  }

  // ---- faces and classes

  function fillFaces() {
    find("faces").replaceChildren();
    for (const track of shown.tracks) {
      const button = make("button", "face", describe(track), find("faces"));
      button.type = "button";
      button.dataset.track = track.id;
      button.setAttribute("aria-pressed", chosen.has(track.id));
      button.onclick = () => {
        if (!chosen.delete(track.id)) chosen.add(track.id);
        button.setAttribute("aria-pressed", chosen.has(track.id));
        fillCurves(track.id);
      };
    }
    find("faces").hidden = shown.tracks.length < 2;
  }

  function describe(track) {
    const said = track.prediction === null ? "undecided"
      : `${track.prediction} ${percent(track.probabilities[track.prediction])}`;
    return `face ${track.id}: ${vfer.clock(track.start, 1)} – ${vfer.clock(track.end, 1)}, ${said}`;
  }

  function fillClasses() {
    find("classes").replaceChildren();
    for (const { name, colour, dashes } of shown.looks) {
      const button = make("button", "class", undefined, find("classes"));
      button.type = "button";
      button.setAttribute("aria-pressed", "true");
      const sample = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      sample.setAttribute("viewBox", "0 0 24 8");
      const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
      const styles = { d: "M0 4h24", stroke: colour, "stroke-width": 4, "stroke-dasharray": dashes.map((one) => 2 * one).join(" ") || "none" };
      for (const [key, value] of Object.entries(styles)) line.setAttribute(key, value);
      sample.append(line);
      button.append(sample);
      make("span", "name", name, button);
      make("i", "", undefined, make("span", "bar", undefined, button)).style.background = colour;
      make("span", "value", "", button);
      button.onclick = () => {
        if (!hidden.delete(name)) hidden.add(name);
        button.setAttribute("aria-pressed", !hidden.has(name));
        redraw();
      };
    }
  }

  // ---- curves

  function fillCurves(wanted) {
    const before = wanted ?? plots[current]?.track?.id;
    const tracks = shown.tracks.filter((one) => chosen.has(one.id));
    find("curves").replaceChildren();
    plots = (tracks.length || shown.tracks.length ? tracks : [null]).map(fillCurve);
    current = Math.max(0, plots.findIndex((one) => one.track && one.track.id === before));
    redraw();
  }

  function fillCurve(track, number) {
    const curve = make("div", "curve", undefined, find("curves"));
    make("h3", "", track ? describe(track) : "no face in this video", curve);
    const holder = make("div", "plot", undefined, curve);
    const said = { role: "slider", tabindex: 0, "aria-label": `${track ? `face ${track.id}` : "no face"}: place in the video`,
      "aria-valuemin": 0, "aria-valuemax": shown.video.duration };
    for (const [key, value] of Object.entries(said)) holder.setAttribute(key, value);
    const plot = new vfer.Plot(holder, shown, track);
    holder.onpointerdown = (event) => {
      if (event.button) return;
      holder.setPointerCapture(event.pointerId);
      choose(number);
      seek(plot.time(event.clientX));
    };
    holder.onpointermove = (event) => {
      if (holder.hasPointerCapture(event.pointerId)) seek(plot.time(event.clientX));
    };
    holder.onfocus = () => choose(number);
    return { track, plot, holder, curve };
  }

  function choose(number) {
    current = number;
    plots.forEach((one, k) => one.curve.classList.toggle("current", k === number && plots.length > 1));
    update();
  }

  function redraw() {
    for (const { plot } of plots) plot.draw(hidden);
    choose(current);
  }

  // ---- what follows the video

  function update() {
    if (!shown) return;
    const time = now();
    for (const one of plots) {
      one.plot.moveTo(time);
      const window = one.track && vfer.windowAt(one.track, time);
      one.holder.setAttribute("aria-valuenow", time.toFixed(2));
      one.holder.setAttribute("aria-valuetext", `${time.toFixed(2)} s: ${sentence(window)}`);
    }
    find("time").textContent = `${time.toFixed(2)} / ${shown.video.duration.toFixed(2)} s`;
    updateNow(time);
    updateBoxes(time);
  }

  function sentence(window) {
    if (!window) return "not seen";
    const name = best(window.probabilities);
    return [window.prediction === null ? "undecided" : `${name} ${percent(window.probabilities[name])}`,
      ...remarks(window)].join(", ");
  }

  const remarks = (window) => (window.doubtful.length ? [`doubtful: ${window.doubtful.join(", ")}`] : []);

  function updateNow(time) {
    const track = plots[current]?.track ?? null;
    const window = track && vfer.windowAt(track, time);
    find("who").textContent = track ? `Face ${track.id}${track.main ? "" : " (beside)"}` : "No face";
    find("remark").textContent = !track ? "" : !window ? "not seen now"
      : [window.prediction === null ? "undecided" : "", ...remarks(window)].filter(Boolean).join("; ");
    updateWhy(window && window.explanation, time);
    const top = window && best(window.probabilities);
    shown.looks.forEach(({ name }, k) => {
      const row = find("classes").children[k], value = window ? window.probabilities[name] : 0;
      row.classList.toggle("best", name === top);
      row.querySelector("i").style.width = `${100 * value}%`;
      row.querySelector(".value").textContent = window ? percent(value) : "–";
    });
  }

  // What carried the decision: a line a stream, and what each frame adds to the logit.
  function updateWhy(explanation, time) {
    find("why").hidden = !explanation;
    find("frames").replaceChildren();
    if (!explanation) return;
    find("reasons").textContent = `${explanation.explains}: ${vfer.reasons(explanation).join("; ")}`;
    const added = vfer.frames(explanation), most = Math.max(...added.map(Math.abs)), at = vfer.frameAt(explanation, time);
    added.forEach((value, k) => {
      const bar = make("i", `${value < 0 ? "against" : ""} ${k === at ? "at" : ""}`.trim(), undefined, find("frames"));
      bar.style.height = `${most > 0 ? (100 * Math.abs(value)) / most : 0}%`;
      bar.title = `${explanation.times[k].toFixed(2)} s: ${value.toFixed(2)}`;
    });
  }

  function updateBoxes(time) {
    const { width, height } = shown.video, boxes = find("boxes");
    boxes.replaceChildren();
    for (const track of shown.tracks) {
      const box = vfer.boxAt(track, time);
      if (!box) continue;
      const window = vfer.windowAt(track, time);
      if (window.explanation && find("heat").checked) {
        boxes.append(vfer.heat(window.explanation, time, box.slice(4), shown.video));
      }
      const made = make("div", "box", undefined, boxes);
      made.dataset.track = track.id;
      made.classList.toggle("doubtful", window.doubtful.length > 0);
      made.classList.toggle("high", box[1] < 0.08 * height);
      made.style.borderColor = window.prediction === null ? "#bec2c8" : look(window.prediction).colour;
      const place = { left: box[0] / width, top: box[1] / height, width: (box[2] - box[0]) / width, height: (box[3] - box[1]) / height };
      for (const [key, value] of Object.entries(place)) made.style[key] = `${100 * value}%`;
      make("span", "", `${track.id} ${window.prediction === null ? "undecided" : sentence({ ...window, doubtful: [] })}`, made);
    }
  }

  function seek(time) {
    video.currentTime = Math.max(0, Math.min(time, shown.video.duration - 1e-3));
    update();
  }

  function follow() {
    update();
    if (!video.paused && !video.ended) requestAnimationFrame(follow);
  }

  function play() {
    if (!video.paused) return video.pause();
    return video.play().catch(() => {}); // what cannot be played has its own message
  }

  // ---- keyboard

  function key(event) {
    if (!shown || event.ctrlKey || event.metaKey || event.altKey) return;
    const on = event.target.tagName;
    if (on === "SELECT" || (event.key === " " && ["BUTTON", "SUMMARY", "INPUT"].includes(on))) return;
    const step = event.shiftKey ? 1 / shown.video.rate : shown.step;
    const does = {
      " ": play,
      ArrowRight: () => seek(now() + step),
      ArrowLeft: () => seek(now() - step),
      Home: () => seek(0),
      End: () => seek(shown.video.duration),
      j: () => other(1),
      k: () => other(-1),
    }[event.key] || (/^[1-9]$/.test(event.key) && (() => find("classes").children[event.key - 1]?.click()));
    if (!does) return;
    event.preventDefault();
    does();
  }

  function other(step) {
    const to = plots[(current + step + plots.length) % plots.length];
    if (to) to.holder.focus();
  }

  document.addEventListener("keydown", key);
  for (const name of ["seeking", "seeked", "timeupdate", "pause"]) video.addEventListener(name, update);
  video.addEventListener("play", follow);
  video.addEventListener("loadedmetadata", () => { aspect(video.videoWidth, video.videoHeight); video.playbackRate = find("speed").value; });
  video.addEventListener("error", () => vfer.problem(`This browser cannot play ${shown.file}.`));
  find("speed").onchange = (event) => { video.playbackRate = event.target.value; };
  find("heat").onchange = update;
  find("repeat").onchange = (event) => { video.loop = event.target.checked; };
  let wide = 0;
  new ResizeObserver(([entry]) => {
    if (!shown || entry.contentRect.width === wide) return;
    wide = entry.contentRect.width;
    redraw();
  }).observe(find("curves"));
})();
