// Draws the curves of a face as SVG, and finds what is said of it at a time. No network, no framework.
"use strict";
const vfer = (() => {
  const LEFT = 34, RIGHT = 8, TOP = 8, BOTTOM = 20;
  const SVG = "http://www.w3.org/2000/svg";

  function element(name, attributes, parent) {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (parent) parent.append(made);
    return made;
  }

  const middle = (window) => (window.start + window.end) / 2;

  // The index of the first item whose number is at least so large.
  function lower(items, value, of) {
    let low = 0, high = items.length;
    while (low < high) {
      const half = (low + high) >> 1;
      if (of(items[half]) < value) low = half + 1; else high = half;
    }
    return low;
  }

  // The window of a face that is nearest to a time; null where the face is not seen.
  function windowAt(track, time) {
    if (time < track.start || time >= track.end) return null;
    const after = lower(track.windows, time, middle);
    const near = track.windows.slice(Math.max(0, after - 1), after + 1);
    return near.reduce((a, b) => (Math.abs(middle(a) - time) <= Math.abs(middle(b) - time) ? a : b));
  }

  // The box of a face at a time, [left, top, right, bottom] px, and x and y of its left and its right eye;
  // null where it is not seen.
  function boxAt(track, time) {
    if (time < track.start || time >= track.end) return null;
    const places = track.places, after = lower(places, time, (place) => place[0]);
    const a = places[Math.max(0, after - 1)], b = places[Math.min(after, places.length - 1)];
    const share = b[0] > a[0] ? Math.min(1, Math.max(0, (time - a[0]) / (b[0] - a[0]))) : 0;
    return [1, 2, 3, 4, 5, 6, 7, 8].map((k) => a[k] + share * (b[k] - a[k]));
  }

  // Round times for the axis, at most one every so many pixels.
  function ticks(duration, width, apart = 70) {
    const most = Math.max(1, Math.floor(width / apart));
    const steps = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600];
    const step = steps.find((one) => duration / one <= most) || 3600 * Math.ceil(duration / 3600 / most);
    const found = [];
    for (let k = 0; k * step <= duration; k += 1) found.push(k * step);
    return found;
  }

  function clock(time, digits) {
    if (time < 60) return `${time.toFixed(digits)} s`;
    const rest = time % 60;
    return `${Math.floor(time / 60)}:${digits ? rest.toFixed(digits).padStart(3 + digits, "0")
      : String(Math.round(rest)).padStart(2, "0")}`;
  }

  // A plot of one face (null: of nobody) in a box; `draw` is called again when its width changes.
  class Plot {
    constructor(holder, timeline, track) {
      Object.assign(this, { holder, timeline, track });
      this.svg = element("svg", { "aria-hidden": "true" }, holder);
    }

    x(time) {
      const inner = this.width - LEFT - RIGHT;
      return LEFT + Math.min(1, Math.max(0, time / this.timeline.video.duration)) * inner;
    }

    // The time of a place in the page, s.
    time(clientX) {
      const box = this.svg.getBoundingClientRect();
      const share = (clientX - box.left - LEFT) / (box.width - LEFT - RIGHT);
      return Math.min(1, Math.max(0, share)) * this.timeline.video.duration;
    }

    draw(hidden) {
      const { track, timeline } = this, whole = timeline.video.duration;
      this.width = Math.max(120, this.holder.clientWidth);
      this.height = this.width < 500 ? 130 : 160;
      this.y = (value) => TOP + (1 - value) * (this.height - TOP - BOTTOM);
      this.svg.replaceChildren();
      this.svg.setAttribute("viewBox", `0 0 ${this.width} ${this.height}`);
      this.svg.setAttribute("height", this.height);
      const area = (from, to, name) => element("rect", {
        class: name, x: this.x(from), y: TOP, width: Math.max(0, this.x(to) - this.x(from)),
        height: this.height - TOP - BOTTOM,
      }, this.svg);
      area(0, whole, "ground");
      if (track) { area(0, track.start, "unseen"); area(track.end, whole, "unseen"); } else area(0, whole, "unseen");
      this.axes(whole);
      for (const cut of timeline.cuts) this.upright("cut", cut);
      if (track) this.lines(hidden);
      this.cursor = this.upright("cursor", 0);
    }

    axes(whole) {
      for (const value of [0, 0.5, 1]) {
        element("line", { class: "grid", x1: LEFT, x2: this.width - RIGHT, y1: this.y(value), y2: this.y(value) }, this.svg);
        element("text", { x: LEFT - 4, y: this.y(value) + 4, "text-anchor": "end" }, this.svg)
          .textContent = `${100 * value}%`;
      }
      const times = ticks(whole, this.width - LEFT - RIGHT);
      const digits = times.length > 1 && times[1] < 1 ? (times[1] < 0.1 ? 2 : 1) : 0;
      for (const time of times) {
        const x = this.x(time), anchor = x > this.width - 24 ? "end" : "middle";
        element("text", { x, y: this.height - 5, "text-anchor": anchor }, this.svg)
          .textContent = clock(time, digits);
      }
    }

    upright(name, time) {
      return element("line", { class: name, x1: this.x(time), x2: this.x(time), y1: TOP - 4, y2: this.height - BOTTOM + 4 }, this.svg);
    }

    lines(hidden) {
      const { windows } = this.track;
      for (const look of this.timeline.looks) {
        if (hidden.has(look.name)) continue;
        const points = windows.map((one) => [this.x(middle(one)), this.y(one.probabilities[look.name])]);
        element("polyline", {
          class: "line", stroke: look.colour, points: points.map((one) => one.map((v) => v.toFixed(1)).join()).join(" "),
          "stroke-dasharray": look.dashes.map((one) => 2 * one).join(" ") || "none",
        }, this.svg);
        if (windows.length > this.width / 12) continue;
        for (const [cx, cy] of points) element("circle", { cx, cy, r: 2.5, fill: look.colour }, this.svg);
      }
      for (const one of windows) this.mark(one);
    }

    // A ring where the model abstains, a cross where the window is doubtful, as in the PNG.
    mark(window) {
      const x = this.x(middle(window)), y = this.y(Math.max(...Object.values(window.probabilities)));
      if (window.abstained) element("circle", { class: "mark", cx: x, cy: y, r: 5 }, this.svg);
      if (window.doubtful.length) {
        element("path", { class: "mark", d: `M${x - 4} ${y - 4}l8 8m0-8l-8 8` }, this.svg);
      }
    }

    moveTo(time) {
      for (const end of ["x1", "x2"]) this.cursor.setAttribute(end, this.x(time));
    }
  }

  return { Plot, windowAt, boxAt, clock };
})();
