// What carried a decision: heat over a face, and what each stream and each frame adds to the logit.
"use strict";
Object.assign(vfer, (() => {
  const COLOURS = [[101, 21, 110], [187, 55, 84], [249, 140, 10], [252, 255, 164]]; // as overlays have them
  const OPACITY = 0.7; // of the hottest place
  const drawn = new WeakMap();

  const sum = (values) => values.reduce((a, b) => a + b, 0);
  const streams = (explanation) => Object.entries(explanation.streams);

  // What each frame adds by all streams.
  const frames = (explanation) => explanation.times.map((_, k) => sum(streams(explanation).map(([, one]) => one.frames[k])));

  // The frame that is nearest to a time.
  const frameAt = ({ times }, time) => times.reduce((a, at, k) => (Math.abs(at - time) < Math.abs(times[a] - time) ? k : a), 0);

  function cells(explanation) {
    const found = new Array(11 * 15).fill(0);
    for (const [, one] of streams(explanation)) {
      const map = one.map.flatMap((row) => row.match(/../g).map((cell) => parseInt(cell, 16)));
      const whole = sum(map);
      if (one.share > 0 && whole > 0) map.forEach((value, k) => { found[k] += (one.share * value) / whole; });
    }
    const most = Math.max(...found);
    return most > 0 ? found.map((value) => value / most) : found;
  }

  function draw(explanation) {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [11, 15];
    const context = canvas.getContext("2d"), picture = context.createImageData(11, 15);
    cells(explanation).forEach((value, k) => {
      const at = Math.min(2, Math.floor(3 * value)), part = 3 * value - at;
      for (let c = 0; c < 3; c += 1) picture.data[4 * k + c] = COLOURS[at][c] + part * (COLOURS[at + 1][c] - COLOURS[at][c]);
      picture.data[4 * k + 3] = 255 * OPACITY * value;
    });
    context.putImageData(picture, 0, 0);
    canvas.className = "heat";
    return canvas;
  }

  // Heat to lie over a face: eyes [x, y, x, y] px of a video; fainter where the frame adds little.
  function heat(explanation, time, eyes, { width, height }) {
    if (!drawn.has(explanation)) drawn.set(explanation, draw(explanation));
    const canvas = drawn.get(explanation), added = frames(explanation), most = Math.max(...added);
    const across = eyes[2] - eyes[0], down = eyes[3] - eyes[1], distance = Math.hypot(across, down);
    Object.assign(canvas.style, {
      opacity: most > 0 ? Math.max(0, added[frameAt(explanation, time)] / most) : 0,
      left: `${(100 * ((eyes[0] + eyes[2]) / 2 - distance)) / width}%`,
      top: `${(100 * ((eyes[1] + eyes[3]) / 2 - (50 / 55) * distance)) / height}%`,
      width: `${(200 * distance) / width}%`,
      transform: `rotate(${Math.atan2(down, across)}rad)`,
    });
    return canvas;
  }

  // A line a stream: what it adds, and where it looks.
  function reasons(explanation) {
    return streams(explanation).map(([name, { share, regions }]) => {
      const top = Object.keys(regions).reduce((a, b) => (a === null || regions[b] > regions[a] ? b : a), null);
      return `${name} ${share < 0 ? "−" : "+"}${Math.abs(share).toFixed(1)}${top === null ? "" : `: ${top}`}`;
    });
  }

  return { heat, reasons, frames, frameAt };
})());
