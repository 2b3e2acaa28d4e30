// The list of layers: those on the map (order, opacity, legend), and the catalogue to choose from.
import { ask, config, element, layerOf, part, say, t } from "./setup.js";

// Colours as they look on the map: as pale as the layer is there, over land.
const swatch = (entry) => element("span", { class: `swatch ${entry.shape ?? "fill"}`, style: `--colour:${entry.color};--alpha:${entry.alpha}` });

export const legend = (one) =>
  element("ul", { class: "legend", style: `--opacity:${one.opacity}` }, ...one.legend.map((entry) => element("li", {}, swatch(entry), " ", entry.label)));

export const titleOf = (one) => (one.column ? `${layerOf(one.id).title}: ${one.column}` : layerOf(one.id).title);

const shownLayer = (layers, one, position, last) => {
  const title = titleOf(one);
  const button = (key, sign, work, disabled = false) =>
    element("button", { type: "button", class: "small", "aria-label": t(key, { title }), title: t(key, { title }), disabled, onclick: work }, sign);
  return element(
    "li", { "data-layer": one.id },
    element("div", { class: "row" },
      element("label", {},
        element("input", { type: "checkbox", checked: one.visible, onchange: (event) => layers.set(one.id, { visible: event.target.checked }) }),
        element("span", {}, title)),
      button("layer.up", "↑", () => layers.move(one.id, -1), position === 0),
      button("layer.down", "↓", () => layers.move(one.id, 1), last),
      button("layer.remove", "×", () => layers.remove(one.id))),
    element("label", { class: "opacity" }, element("span", {}, t("layer.opacity")),
      element("input", { type: "range", min: 0, max: 100, value: Math.round(one.opacity * 100), "aria-label": t("layer.opacity-of", { title }),
        oninput: (event) => {
          layers.set(one.id, { opacity: event.target.value / 100 });
          event.target.closest("li").querySelector(".legend").style.setProperty("--opacity", one.opacity);
        } })),
    legend(one),
  );
};

export const drawShown = (layers) => {
  const holder = document.getElementById("shown-layers");
  const active = document.activeElement;
  const focused = active?.closest?.("[data-layer]");
  if (active?.type === "range" && focused) return; // a slider in the hand is not taken away
  const controls = (card) => [...(card?.querySelectorAll("input, button") ?? [])];
  const place = controls(focused).indexOf(active);
  holder.replaceChildren(...layers.shown.map((one, i) => shownLayer(layers, one, i, i === layers.shown.length - 1)));
  if (place >= 0) { // who works by keyboard stays where they were, on the button or the next that can be pressed
    const card = holder.querySelector(`[data-layer="${CSS.escape(focused.dataset.layer)}"]`);
    const again = controls(card);
    (again.slice(place).find((one) => !one.disabled) ?? again[0] ?? document.getElementById("catalogue-filter")).focus();
  }
  document.getElementById("no-layers").hidden = layers.shown.length > 0;
  for (const box of document.querySelectorAll("#catalogue input[type=checkbox]")) box.checked = Boolean(layers.get(box.value));
};

const columnsOf = async (id) => {
  const schema = await ask(`/collections/${part(id)}/schema`, { f: "json" });
  return Object.entries(schema.properties ?? {})
    .filter(([name, one]) => ["number", "integer"].includes(one.type) && one["x-ogc-role"] !== "id" && name !== "id")
    .map(([name, one]) => [name, one.title ?? name]);
};

const chooseTable = async (layers, one, item) => {
  try {
    const columns = await columnsOf(one.id);
    if (!columns.length) return say(t("layer.no-columns"));
    const select = element("select", { "aria-label": t("layer.column"), onchange: async (event) => {
      layers.remove(one.id);
      if (!event.target.value) return;
      await layers.add(one.id, { column: event.target.value });
      document.querySelector(`[data-layer="${CSS.escape(one.id)}"]`)?.scrollIntoView({ block: "nearest" }); // its legend
    } }, element("option", { value: "" }, t("layer.column")), ...columns.map(([name, title]) => element("option", { value: name }, title)));
    item.querySelector("select")?.remove();
    item.append(select);
    select.focus();
  } catch (error) { say(error.message); }
};

const catalogueItem = (layers, one) => {
  const item = element("li", {});
  const box = element("input", { type: "checkbox", value: one.id, onchange: async (event) => {
    if (!event.target.checked) { item.querySelector("select")?.remove(); return layers.remove(one.id); }
    if (one.kind === "table") await chooseTable(layers, one, item);
    else await layers.add(one.id);
  } });
  item.append(element("label", {}, box, element("span", {}, one.title, one.kind === "feature" ? null : element("small", {}, ` (${t(`kind.${one.kind}`)})`))));
  return item;
};

export const drawCatalogue = (layers) => {
  const mapped = config.layers.filter((one) => one.kind !== "table" || (one.codes && config.basemap.length));
  const groups = Map.groupBy ? Map.groupBy(mapped, (one) => one.group) : mapped.reduce((all, one) => all.set(one.group, [...(all.get(one.group) ?? []), one]), new Map());
  const holder = document.getElementById("catalogue");
  const parts = [...groups].map(([name, members]) =>
    element("details", { open: groups.size < 4 }, element("summary", {}, name), element("ul", {}, ...members.map((one) => catalogueItem(layers, one)))));
  holder.replaceChildren(...parts);
  const filter = document.getElementById("catalogue-filter");
  filter.addEventListener("input", () => {
    const wanted = filter.value.trim().toLowerCase();
    let all = 0;
    for (const group of holder.querySelectorAll("details")) {
      let any = false;
      for (const item of group.querySelectorAll("li")) {
        item.hidden = Boolean(wanted) && !item.textContent.toLowerCase().includes(wanted);
        any ||= !item.hidden;
      }
      group.hidden = !any;
      group.open = wanted ? any : groups.size < 4;
      all += any;
    }
    document.getElementById("catalogue-none").hidden = all > 0;
  });
};
