"use strict";
(() => {
  const byId = (name) => document.getElementById(name);
  const stage = byId("stage"), diagram = byId("diagram"), tip = byId("tip"), tools = byId("tools");
  tools.hidden = false;

  // Hover and focus: what stands in a thing's tip, beside it. The script's own replaces the browser's.
  for (const title of diagram.querySelectorAll("[data-tip] > title")) title.remove();
  const show = (thing, x, y) => {
    tip.textContent = thing.dataset.tip;
    tip.hidden = false;
    const { width, height } = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(4, Math.min(x + 14, innerWidth - width - 8))}px`;
    tip.style.top = `${Math.max(4, y + 16 + height > innerHeight ? y - height - 10 : y + 16)}px`;
  };
  const hide = () => { tip.hidden = true; };
  diagram.addEventListener("pointermove", (event) => {
    const thing = event.target.closest("[data-tip]");
    if (thing) show(thing, event.clientX, event.clientY);
    else hide();
  });
  diagram.addEventListener("pointerleave", hide);
  diagram.addEventListener("focusin", (event) => {
    const thing = event.target.closest("[data-tip]");
    if (!thing) return;
    const { left, bottom } = thing.getBoundingClientRect();
    show(thing, left, bottom - 10);
  });
  diagram.addEventListener("focusout", hide);

  // Filters: a thing is off if its group or its session is.
  const filter = () => {
    const off = { group: new Set(), session: new Set() };
    for (const box of tools.querySelectorAll("[data-filter]")) if (!box.checked) off[box.dataset.filter].add(box.value);
    const alone = new Set([...tools.querySelectorAll("[data-alone]")].map((box) => box.value));
    for (const thing of diagram.querySelectorAll("[data-group], [data-session]")) {
      const { group, session } = thing.dataset;
      thing.classList.toggle("off", off.group.has(group) || off.session.has(session));
      thing.classList.toggle("wanted", byId("noise").checked || alone.has(group));
    }
  };
  tools.addEventListener("change", filter);

  // Zoom keeps what is in the middle where it is.
  let scale = 1;
  const zoom = (wanted, x = stage.clientWidth / 2, y = stage.clientHeight / 2) => {
    const before = scale;
    scale = Math.min(6, Math.max(0.15, wanted));
    diagram.setAttribute("width", diagram.dataset.width * scale);
    diagram.setAttribute("height", diagram.dataset.height * scale);
    stage.scrollLeft = (stage.scrollLeft + x) * (scale / before) - x;
    stage.scrollTop = (stage.scrollTop + y) * (scale / before) - y;
    byId("scale").textContent = `${Math.round(scale * 100)} %`;
    diagram.dataset.scale = scale;
  };
  const fit = () => zoom(stage.clientWidth / diagram.dataset.width);
  byId("in").addEventListener("click", () => zoom(scale * 1.25));
  byId("out").addEventListener("click", () => zoom(scale / 1.25));
  byId("fit").addEventListener("click", fit);
  stage.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return;
    event.preventDefault();
    const { left, top } = stage.getBoundingClientRect();
    zoom(scale * (event.deltaY < 0 ? 1.15 : 1 / 1.15), event.clientX - left, event.clientY - top);
  }, { passive: false });
  const keys = {
    "+": () => zoom(scale * 1.25), "=": () => zoom(scale * 1.25), "-": () => zoom(scale / 1.25), 0: () => zoom(1), f: fit, Escape: hide,
    ArrowDown: () => { stage.scrollTop += 60; }, ArrowUp: () => { stage.scrollTop -= 60; },
    ArrowRight: () => { stage.scrollLeft += 60; }, ArrowLeft: () => { stage.scrollLeft -= 60; },
  };
  stage.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !Object.hasOwn(keys, event.key)) return;
    event.preventDefault();
    keys[event.key]();
  });

  // The names of the lanes stay in sight.
  stage.addEventListener("scroll", () => byId("heads").setAttribute("transform", `translate(0 ${stage.scrollTop / scale})`));

  // Drag to move.
  let from = null;
  stage.addEventListener("pointerdown", (event) => {
    if (event.button === 0) from = { x: event.clientX + stage.scrollLeft, y: event.clientY + stage.scrollTop };
  });
  addEventListener("pointermove", (event) => {
    if (!from) return;
    stage.classList.add("moving");
    stage.scrollLeft = from.x - event.clientX;
    stage.scrollTop = from.y - event.clientY;
  });
  addEventListener("pointerup", () => { from = null; stage.classList.remove("moving"); });
  filter();

  // Of a picture higher than its window, what it is about comes first.
  const matter = diagram.querySelector(".mark.stale") ?? diagram.querySelector(".mark.told");
  if (matter && stage.classList.contains("tall")) {
    stage.scrollTop = matter.getBoundingClientRect().top - diagram.getBoundingClientRect().top - stage.clientHeight * 0.7;
  }
})();
