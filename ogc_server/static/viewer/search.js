// Search for a place by name or region code: a combo box as WAI-ARIA describes it.
import { ask, element, say, t } from "./setup.js";

export const startSearch = (map) => {
  const input = document.getElementById("place");
  const list = document.getElementById("places");
  let found = [];
  let active = -1;
  let timer = 0;
  let asking = null;

  const close = () => { list.hidden = true; input.setAttribute("aria-expanded", "false"); input.removeAttribute("aria-activedescendant"); active = -1; };
  const go = (place) => {
    const [west, south, east, north] = place.bbox;
    map.fitBounds([[west, south], [east, north]], { padding: 40, maxZoom: 14 });
    input.value = place.properties.nama;
    say(t("search.found", { name: place.properties.nama, code: place.id }));
    close();
  };
  const show = () => {
    list.replaceChildren(...found.map((place, i) =>
      element("li", { id: `place-${i}`, role: "option", "aria-selected": i === active ? "true" : "false", onmousedown: (event) => { event.preventDefault(); go(place); } },
        element("strong", {}, place.properties.nama), ` ${place.id}`, element("small", {}, place.properties.di ? ` · ${place.properties.di}` : ""))));
    if (!found.length) say(t("search.none"));
    if (!found.length) list.replaceChildren(element("li", { class: "none" }, t("search.none")));
    list.hidden = false;
    input.setAttribute("aria-expanded", "true");
    if (active >= 0) input.setAttribute("aria-activedescendant", `place-${active}`);
  };
  const look = async () => {
    const q = input.value.trim();
    if (q.length < 2) return close();
    asking?.abort();
    asking = new AbortController();
    try {
      found = (await ask("/places", { q, limit: 8 }, { signal: asking.signal })).features;
      active = -1;
      show();
    } catch (error) { if (error.name !== "AbortError") say(error.message); }
  };
  input.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(look, 200); });
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      if (!found.length) return;
      event.preventDefault();
      active = (active + (event.key === "ArrowDown" ? 1 : -1) + found.length) % found.length;
      show();
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (found[Math.max(active, 0)] && !list.hidden) go(found[Math.max(active, 0)]);
      else if (input.value.trim().length < 2) say(t("search.short"));
      else { clearTimeout(timer); look(); }
    } else if (event.key === "Escape") close();
  });
};
