// Layers on the map: each is a collection drawn in the style that the server makes of it.
import { LAYERS as SELECTED } from "./select.js";
import { address, ask, config, layerOf, part, say, t } from "./setup.js";

// Colours that people with any colour vision tell apart (Okabe and Ito), for layers without a style of their own.
const PLAIN = "#0072b2";
const OTHERS = ["#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];

const OPACITY = { fill: "fill-opacity", line: "line-opacity", circle: "circle-opacity", raster: "raster-opacity", symbol: "text-opacity" };

export class Layers {
  // `changed` is called after every change, with the list from top to bottom.
  constructor(map, changed) {
    this.map = map;
    this.changed = changed;
    this.shown = []; // {id, opacity, visible, style, column, legend}, top first
  }

  get(id) { return this.shown.find((one) => one.id === id); }

  async add(id, { opacity = 1, visible = true, column = null, onTop = false } = {}) {
    if (this.get(id)) return;
    const known = layerOf(id);
    if (!known) return say(t("layer.missing", { id }));
    try {
      const made = this.#coloured(id, await this.#style(known, column));
      if (this.get(id)) return;
      // pictures go below what is drawn over them
      const at = known.kind === "raster" && !onTop ? this.shown.filter((one) => layerOf(one.id).kind !== "raster").length : 0;
      this.#draw(id, made.style, at > 0 ? this.#names(this.shown[at - 1])[0] : undefined);
      this.shown.splice(at, 0, { id, opacity, visible, column, ...made });
      this.#apply(this.get(id));
      this.#raise();
      this.changed();
    } catch (error) {
      say(t("layer.failed", { title: known.title, reason: error.message }));
    }
  }

  async #style(known, column) {
    const path = `/collections/${part(known.id)}`;
    if (known.kind === "raster") {
      const tiles = address(`${path}/map/tiles/WebMercatorQuad/{z}/{y}/{x}`, { f: "png" }).replaceAll("%7B", "{").replaceAll("%7D", "}");
      const legend = await ask(`${path}/map/legend`, { f: "json" });
      const entries = legend.entries.map((one) => ({ label: one.label, color: one.colour, shape: "fill", alpha: 1 }));
      const source = { type: "raster", tiles: [tiles], tileSize: 256, bounds: known.bbox };
      return { style: { sources: { [known.id]: source }, layers: [{ id: known.id, type: "raster", source: known.id }] }, legend: entries };
    }
    const table = known.kind === "table";
    const name = table ? "choropleth" : "default";
    const params = { f: "mapbox", ...(table ? { geometry: areas(), column } : {}) };
    const style = await ask(`${path}/styles/${name}`, params);
    const legend = style.metadata?.["satudata:legend"] ?? { entries: [] };
    return { style, legend: legend.entries.map((one) => ({ ...one, alpha: one.shape === "fill" ? legend.opacity ?? 1 : 1 })) };
  }

  // All plain layers have one colour; here each but the boundaries gets its own, the same at every visit while it is free.
  #coloured(id, made) {
    if (made.legend.length !== 1 || made.legend[0].color !== PLAIN || config.basemap.includes(id)) return made;
    const taken = this.shown.flatMap((one) => one.legend.map((entry) => entry.color));
    const start = [...id].reduce((sum, letter) => (sum * 31 + letter.codePointAt(0)) % 9973, 7) % OTHERS.length;
    const choice = [...OTHERS.slice(start), ...OTHERS.slice(0, start)];
    const colour = choice.find((one) => !taken.includes(one)) ?? choice[0];
    return JSON.parse(JSON.stringify(made).replaceAll(PLAIN, colour));
  }

  #draw(id, style, below) {
    for (const [name, source] of Object.entries(style.sources)) this.map.addSource(`${id}|${name}`, source);
    for (const layer of style.layers) {
      if (layer.type === "background") continue;
      this.map.addLayer({ ...layer, id: `${id}|${layer.id}`, source: `${id}|${layer.source}` }, below);
    }
  }

  // What a person chose or draws by hand lies over all layers.
  #raise() {
    for (const name of [...SELECTED, "measure:fill", "measure:line", "measure:point"]) if (this.map.getLayer(name)) this.map.moveLayer(name);
  }

  #names(one) {
    return one.style.layers.filter((layer) => layer.type !== "background").map((layer) => `${one.id}|${layer.id}`);
  }

  ids(id) { const one = this.get(id); return one ? this.#names(one) : []; }

  #apply(one) {
    for (const layer of one.style.layers) {
      const id = `${one.id}|${layer.id}`;
      const name = OPACITY[layer.type];
      if (!this.map.getLayer(id)) continue;
      const own = layer.paint?.[name];
      // names stay readable over what is made pale
      const opacity = layer.type === "symbol" ? Math.min(1, one.opacity * 4) : one.opacity;
      if (name) this.map.setPaintProperty(id, name, typeof own === "number" ? own * opacity : own === undefined ? opacity : own);
      if (layer.type === "circle") this.map.setPaintProperty(id, "circle-stroke-opacity", one.opacity);
      this.map.setLayoutProperty(id, "visibility", one.visible ? "visible" : "none");
    }
  }

  set(id, change) {
    const one = this.get(id);
    if (!one) return;
    Object.assign(one, change);
    this.#apply(one);
    this.changed();
  }

  remove(id) {
    const one = this.get(id);
    if (!one) return;
    for (const name of this.#names(one)) if (this.map.getLayer(name)) this.map.removeLayer(name);
    for (const name of Object.keys(one.style.sources)) this.map.removeSource(`${id}|${name}`);
    this.shown = this.shown.filter((other) => other !== one);
    this.changed();
  }

  // Move a layer one place up (-1) or down (+1) in the list, and on the map.
  move(id, step) {
    const from = this.shown.findIndex((one) => one.id === id);
    const to = from + step;
    if (from < 0 || to < 0 || to >= this.shown.length) return;
    this.shown.splice(to, 0, ...this.shown.splice(from, 1));
    for (const one of [...this.shown].reverse()) for (const name of this.#names(one)) this.map.moveLayer(name);
    this.#raise();
    this.changed();
  }

  // Keep the features of layers with a time field that lie in [from, to] (ISO texts; null: open).
  filterTime(from, to) {
    for (const one of this.shown) {
      const field = layerOf(one.id)?.time;
      if (!field) continue;
      const parts = [];
      if (from) parts.push([">=", ["to-string", ["get", field]], from]);
      if (to) parts.push(["<=", ["to-string", ["get", field]], to]);
      for (const layer of one.style.layers) {
        const name = `${one.id}|${layer.id}`;
        if (!this.map.getLayer(name)) continue;
        const filters = [layer.filter, ...parts].filter(Boolean);
        this.map.setFilter(name, filters.length ? ["all", ...filters] : null);
      }
    }
  }
}

// The boundaries that tables are joined to: the first of the basemap.
const areas = () => {
  if (!config.basemap.length) throw new Error(t("layer.no-areas"));
  return config.basemap[0];
};
