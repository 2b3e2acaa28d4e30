// Stands in the page itself, before all else: where the map looks, the first picture of it at that place,
// and, where the picture is too coarse, the basemap's tiles, asked for while MapLibre is still on its way.
(() => {
  const stage = document.getElementById("map");
  const picture = document.getElementById("first");
  const { bounds, tiles } = JSON.parse(stage.dataset.first);
  const size = [stage.clientWidth, stage.clientHeight];
  // Shares of the Web Mercator world, from its upper left corner.
  const world = (lon, lat) => [(lon + 180) / 360, (1 - Math.asinh(Math.tan((lat * Math.PI) / 180)) / Math.PI) / 2];
  const degrees = (x, y) => [x * 360 - 180, (Math.atan(Math.sinh(Math.PI * (1 - 2 * y))) * 180) / Math.PI];

  const fitted = ([west, south, east, north], padding = 30) => {
    const [left, top] = world(west, north);
    const [right, bottom] = world(east, south);
    const room = size.map((side) => Math.max(side - 2 * padding, 1));
    const zoom = Math.log2(Math.min(room[0] / (right - left || 1e-9), room[1] / (bottom - top || 1e-9)) / 512);
    return { zoom: Math.min(zoom, 16), center: degrees((left + right) / 2, (top + bottom) / 2) };
  };
  const linked = new URLSearchParams(location.hash.slice(1)).get("map")?.split("/").map(Number) ?? [];
  const view = linked.length === 3 && linked.every(Number.isFinite) ? { zoom: linked[0], center: [linked[2], linked[1]] } : fitted(bounds);

  const paths = (name) => picture?.querySelector(name).getAttribute("d") ?? "";
  const [deep, column, row, off] = picture?.dataset.at.split(" ").map(Number) ?? [];
  const units = 4096 * 2 ** deep;
  // From this zoom on a border may be off by more than a pixel: tiles are drawn.
  const turn = picture ? Math.log2(units / off / 512) : 0;
  const unit = (x, y) => degrees((column * 4096 + x) / units, (row * 4096 + y) / units);
  const drawn = { turn, unit, land: paths(".land"), borders: paths(".borders") };

  // Put the picture where the map is; while tiles come a border may be off by two pixels, no more.
  const place = ({ zoom, center }) => {
    if (!picture) return;
    const scale = (512 * 2 ** zoom) / units;
    if (zoom > turn + 1 || zoom < 2) return picture.remove();
    const [x, y] = world(...center);
    const [wide, high] = [picture.clientWidth / scale, picture.clientHeight / scale];
    picture.setAttribute("viewBox", [x * units - column * 4096 - wide / 2, y * units - row * 4096 - high / 2, wide, high].join(" "));
    picture.style.setProperty("--line", 0.15 + (0.55 * Math.min(Math.max(zoom - 5, 0), 7)) / 7);
  };
  const done = () => picture?.remove();
  place(view);

  if (view.zoom >= turn) {
    const across = 2 ** Math.min(Math.max(Math.floor(view.zoom), 0), 12);
    const [x, y] = world(...view.center);
    const half = size.map((side) => side / 2 / (512 * 2 ** view.zoom));
    const cut = (share) => Math.min(Math.max(Math.floor(share * across), 0), across - 1);
    for (let row = cut(y - half[1]); row <= cut(y + half[1]); row += 1)
      for (let column = cut(x - half[0]); column <= cut(x + half[0]); column += 1)
        for (const tile of tiles) fetch(tile.replace("{z}", Math.log2(across)).replace("{y}", row).replace("{x}", column)).catch(() => {});
  }

  window.first = { view, place, done, fitted, drawn };
  if (picture?.isConnected) requestAnimationFrame(() => requestAnimationFrame(() => performance.mark("map-first-paint")));
})();
