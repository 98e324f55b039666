"use strict";
for (const map of document.querySelectorAll(".map")) {
  const own = JSON.parse(map.querySelector("script").textContent);
  const plane = map.querySelector(".plane"), svg = plane.querySelector("svg"), pick = svg.querySelector(".pick");
  const canvas = map.querySelector("canvas"), said = map.querySelector(".names"), ink = canvas.getContext("2d");
  const points = own.sets.flatMap((set, place) => set.points.map(([x, y, name], tile) => ({ x, y, name, tile, set, place })));
  let chosen = -1;

  function show(which) {
    if (which < 0 || which === chosen) return;
    chosen = which;
    const point = points[which];
    pick.setAttribute("cx", point.x);
    pick.setAttribute("cy", point.y);
    said.textContent = `${point.set.name}: ${point.name}`;
    canvas.setAttribute("aria-label", said.textContent);
    ink.clearRect(0, 0, canvas.width, canvas.height);
    if (point.set.tiles) {
      const left = (point.tile % own.columns) * own.tile, top = Math.floor(point.tile / own.columns) * own.tile;
      ink.imageSmoothingQuality = "high";
      ink.drawImage(document.getElementById(`tiles-${point.place}`), left, top, own.tile, own.tile, 0, 0, canvas.width, canvas.height);
    }
  }

  function nearest(event) {
    const place = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    let best = -1, least = 30 * 30;
    points.forEach(({ x, y }, which) => {
      const distance = (x - place.x) ** 2 + (y - place.y) ** 2;
      if (distance < least) [least, best] = [distance, which];
    });
    return best;
  }

  function inOrder(axis) {
    return points.map((_, which) => which).sort((a, b) => points[a][axis] - points[b][axis] || a - b);
  }

  const across = inOrder("x"), up = inOrder("y");
  const steps = { ArrowLeft: [across, -1], ArrowRight: [across, 1], ArrowUp: [up, -1], ArrowDown: [up, 1] };
  plane.addEventListener("pointermove", (event) => show(nearest(event)));
  plane.addEventListener("pointerdown", (event) => show(nearest(event)));
  plane.addEventListener("keydown", (event) => {
    if (event.key === "Home" || event.key === "End") {
      show(across.at(event.key === "Home" ? 0 : -1));
    } else if (event.key in steps) {
      const [order, step] = steps[event.key];
      show(chosen < 0 ? order[0] : order[Math.min(Math.max(order.indexOf(chosen) + step, 0), order.length - 1)]);
    } else {
      return;
    }
    event.preventDefault();
  });
}
