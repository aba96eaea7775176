// Which video is shown: by a chooser, and by the address (#name), so that a link leads to it.
"use strict";
(() => {
  const find = (id) => document.getElementById(id);

  vfer.problem = (text) => {
    find("problem").textContent = text;
    find("problem").hidden = !text;
  };

  // Called by list.js; the data of a video is a script as well, as from disk nothing can be fetched.
  vfer.list = (videos) => {
    for (const one of videos) find("chooser").append(new Option(one.title, one.name));
    find("choice").hidden = videos.length < 2;
    const open = () => {
      const asked = decodeURIComponent(location.hash.slice(1));
      const wanted = videos.find((one) => one.name === asked) || videos[0];
      if (!wanted) return vfer.problem("There is no video here yet.");
      find("chooser").value = wanted.name;
      const script = document.createElement("script");
      script.src = `data/${encodeURIComponent(wanted.name)}.js`;
      script.onerror = () => vfer.problem(`data/${wanted.name}.js is missing.`);
      script.onload = () => script.remove();
      document.body.append(script);
    };
    find("chooser").onchange = (event) => { location.hash = encodeURIComponent(event.target.value); };
    addEventListener("hashchange", open);
    open();
  };
})();
