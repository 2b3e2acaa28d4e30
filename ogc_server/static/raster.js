// Values of a raster asked from its page: at a place (a click on the picture, or two numbers), and within
// a box (dragged with the mouse on the picture, or four numbers). The answers are those of OGC API - EDR.
(() => {
  "use strict";
  const desk = document.getElementById("tanya");
  const image = document.getElementById("gambar");
  if (!desk || !image) return;
  const said = desk.dataset;
  const point = document.getElementById("titik");
  const area = document.getElementById("kotak");
  const out = document.getElementById("hasil");
  const [west, south, east, north] = said.box.split(",").map(Number);
  const bands = JSON.parse(said.bands);
  const units = JSON.parse(said.units);
  const SIDES = ["west", "south", "east", "north"];
  const figure = (value) => new Intl.NumberFormat(said.lang, { maximumSignificantDigits: 6 }).format(value);
  const degrees = (value) => new Intl.NumberFormat(said.lang, { maximumFractionDigits: 8 }).format(value);
  const pixel = Math.max(east - west, north - south) / 720;
  const digits = Math.min(Math.max(Math.ceil(-Math.log10(pixel)), 0), 8);

  const element = (name, text, children = []) => {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    made.append(...children);
    return made;
  };
  const told = (...children) => out.replaceChildren(...children);
  const wrong = (text) => {
    const line = element("p", text);
    line.className = "notice bad";
    told(line);
  };
  const address = (href, params) => {
    const url = new URL(href, location.href);
    for (const [name, value] of Object.entries(params)) url.searchParams.set(name, value);
    return url;
  };
  // 107,5 as people write it here is 107.5
  const read = (form, names) => {
    const values = {};
    let bad = null;
    for (const name of names) {
      const field = form.elements[name];
      const text = field.value.trim().replace(",", ".");
      const fine = text !== "" && Number.isFinite(Number(text));
      field.setAttribute("aria-invalid", String(!fine));
      if (!fine && !bad) bad = field;
      values[name] = Number(text);
    }
    if (!bad) return values;
    wrong(said.number);
    bad.focus();
    return null;
  };

  let asking = null;
  const ask = async (url) => {
    if (asking) asking.abort();
    asking = new AbortController();
    out.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(url, { signal: asking.signal });
      if (answer.ok) return await answer.text();
      const problem = await answer.json().catch(() => ({}));
      wrong(problem.detail || problem.title || said.failed);
    } catch (error) {
      if (error.name !== "AbortError") wrong(said.failed);
    } finally {
      out.removeAttribute("aria-busy");
    }
    return null;
  };
  // rows of our CSV; the numbers come last, so that a name with commas does no harm
  const rows = (text) => text.trim().split("\n").slice(1).map((line) => line.split(","));
  const shown = (value, unit) => (value === "" ? said.empty : `${figure(Number(value))}${unit ? ` ${unit}` : ""}`);

  const atPoint = async () => {
    const place = read(point, ["lon", "lat"]);
    if (!place) return;
    const params = { coords: `POINT(${place.lon} ${place.lat})`, lang: said.lang };
    const text = await ask(address(said.position, { ...params, f: "csv" }));
    if (text === null) return;
    const values = rows(text)[0].slice(2);
    const list = element("dl", undefined, bands.map((band, at) =>
      element("div", undefined, [element("dt", band), element("dd", shown(values[at], units[at]))])));
    list.className = "facts";
    told(element("p", `${said.at} ${degrees(place.lon)}; ${degrees(place.lat)}`), list,
      links([["CoverageJSON", address(said.position, { ...params, f: "covjson" })]]));
  };

  const links = (pairs) => element("p", undefined, pairs.flatMap(([name, url], at) => {
    const one = element("a", name);
    one.href = url;
    return at ? [" · ", one] : [one];
  }));

  const inBox = async () => {
    const box = read(area, SIDES);
    if (!box) return;
    if (!(box.west < box.east && box.south < box.north)) return void wrong(said.order);
    const [w, s, e, n] = SIDES.map((side) => box[side]);
    const params = { coords: `POLYGON((${w} ${s},${e} ${s},${e} ${n},${w} ${n},${w} ${s}))`, lang: said.lang };
    const text = await ask(address(said.area, { ...params, f: "csv" }));
    if (text === null) return;
    const cells = rows(text);
    const body = bands.map((band, at) => {
      let count = 0, weight = 0, sum = 0, low = Infinity, high = -Infinity;
      for (const cell of cells) {
        const value = cell[2 + at], covered = Number(cell[cell.length - 1]);
        if (value === "") continue;
        count += 1; weight += covered; sum += covered * Number(value);
        low = Math.min(low, value); high = Math.max(high, value);
      }
      const row = element("tr", undefined, [element("th", band)]);
      const numbers = count ? [figure(count), shown(low, units[at]), shown(sum / weight, units[at]), shown(high, units[at])]
        : ["0", "—", "—", "—"];
      for (const value of numbers) {
        const data = element("td", value);
        data.className = "num";
        row.append(data);
      }
      return row;
    });
    const head = element("tr", undefined, [said.band, said.cells, said.min, said.mean, said.max].map((name, at) => {
      const cell = element("th", name);
      cell.className = at ? "num" : "";
      return cell;
    }));
    const table = element("table", undefined, [element("thead", undefined, [head]), element("tbody", undefined, body)]);
    const scroll = element("div", undefined, [table]);
    scroll.className = "scroll";
    told(element("p", `${said.within} ${[w, s, e, n].map(degrees).join("; ")}`), scroll, links([
      ["CSV", address(said.area, { ...params, f: "csv" })],
      ["CoverageJSON", address(said.area, { ...params, f: "covjson" })],
      [`GeoTIFF (${said.part})`, address(said.coverage, { bbox: [w, s, e, n].join(","), f: "tif" })],
    ]));
  };

  point.addEventListener("submit", (event) => { event.preventDefault(); atPoint(); });
  area.addEventListener("submit", (event) => { event.preventDefault(); inBox(); });

  const at = (event) => {
    const frame = image.getBoundingClientRect();
    const x = Math.min(Math.max((event.clientX - frame.left - image.clientLeft) / image.clientWidth, 0), 1);
    const y = Math.min(Math.max((event.clientY - frame.top - image.clientTop) / image.clientHeight, 0), 1);
    return [west + x * (east - west), north - y * (north - south)];
  };
  const fill = (form, values) => Object.entries(values).forEach(([name, value]) => { form.elements[name].value = value.toFixed(digits); });
  const SLIP = 6;
  let start = null;
  const band = document.createElement("div");
  band.className = "drag";
  band.hidden = true;
  image.parentElement.classList.add("askable");
  image.parentElement.append(band);
  image.parentElement.addEventListener("dragstart", (event) => event.preventDefault());
  image.addEventListener("pointerdown", (event) => {
    if (event.pointerType === "mouse" && event.button === 0) start = event;
  });
  const moved = (event) => start && Math.hypot(event.clientX - start.clientX, event.clientY - start.clientY) > SLIP;
  addEventListener("pointermove", (event) => {
    if (!moved(event)) return;
    const frame = image.parentElement.getBoundingClientRect();
    band.hidden = false;
    band.style.left = `${Math.min(event.clientX, start.clientX) - frame.left}px`;
    band.style.top = `${Math.min(event.clientY, start.clientY) - frame.top}px`;
    band.style.width = `${Math.abs(event.clientX - start.clientX)}px`;
    band.style.height = `${Math.abs(event.clientY - start.clientY)}px`;
  });
  let dragged = false;
  addEventListener("pointerup", (event) => {
    if (moved(event)) {
      const [a, b] = [at(start), at(event)];
      fill(area, { west: Math.min(a[0], b[0]), south: Math.min(a[1], b[1]), east: Math.max(a[0], b[0]), north: Math.max(a[1], b[1]) });
      dragged = true;
      setTimeout(() => { dragged = false; });
      inBox();
    }
    start = null;
    band.hidden = true;
  });
  // the picture is a link to itself, which stays for the keyboard and for new tabs
  image.parentElement.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.detail === 0) return;
    event.preventDefault();
    if (dragged) return;
    const [lon, lat] = at(event);
    fill(point, { lon, lat });
    atPoint();
  });
})();
