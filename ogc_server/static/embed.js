// A map of this server's layers in anybody's page:
//   <script src="https://SERVER/static/embed.js" async></script>
//   <satudata-peta lapisan="batas-desa" style="height: 24rem"></satudata-peta>
// Attributes: `lapisan` (collection ids, comma-separated, the last one on top), `gaya` (style id, default
// "default"), `pusat` ("lon,lat"), `zoom`, `bahasa` (id or en), `server` (default: where this script is from).
(() => {
  "use strict";
  const home = new URL(".", document.currentScript.src).href.replace(/\/static\/$/, "");
  const WORDS = {
    id: { failed: "Peta tidak dapat dimuat.", source: "Sumber" },
    en: { failed: "The map could not be loaded.", source: "Source" },
  };
  const TOUCHED = ["lapisan", "gaya", "pusat", "zoom", "bahasa", "server"];
  let loading = null;

  const script = (address) => new Promise((done, failed) => {
    const tag = Object.assign(document.createElement("script"), { src: address, onload: done, onerror: () => failed(new Error(address)) });
    document.head.append(tag);
  });
  // MapLibre comes once from our own server, and only when the page has none.
  const maplibre = (server) => (window.maplibregl ? Promise.resolve() : (loading ??= script(`${server}/static/maplibre-gl.js`)));

  const json = async (address) => {
    const answer = await fetch(address);
    if (!answer.ok) throw new Error(`${answer.status} ${address}`);
    return answer.json();
  };

  const layerStyle = async (server, id, name, lang) => {
    const path = `${server}/collections/${encodeURIComponent(id)}`;
    const about = await json(`${path}?f=json&lang=${lang}`);
    if (about.links.some((link) => link.rel === "http://www.opengis.net/def/rel/ogc/1.0/coverage")) {
      const source = { type: "raster", tiles: [`${path}/map/tiles/WebMercatorQuad/{z}/{y}/{x}?f=png`], tileSize: 256, attribution: about.attribution };
      return { about, style: { sources: { [id]: source }, layers: [{ id, type: "raster", source: id }] } };
    }
    return { about, style: await json(`${path}/styles/${encodeURIComponent(name)}?f=mapbox&lang=${lang}`) };
  };

  const joined = (server, parts) => {
    const style = { version: 8, glyphs: `${server}/fonts/{fontstack}/{range}.pbf`, sources: {}, layers: [{ id: "laut", type: "background", paint: { "background-color": "#dfeaf2" } }] };
    parts.forEach(({ style: one }, i) => {
      for (const [name, source] of Object.entries(one.sources)) style.sources[`${i}|${name}`] = source;
      for (const layer of one.layers) if (layer.type !== "background") style.layers.push({ ...layer, id: `${i}|${layer.id}`, source: `${i}|${layer.source}` });
    });
    return style;
  };

  class Peta extends HTMLElement {
    static observedAttributes = TOUCHED;

    connectedCallback() { this.#draw(); }

    attributeChangedCallback(name, before) { if (this.isConnected && before !== null) this.#draw(); }

    disconnectedCallback() { this.map?.remove(); this.map = null; }

    async #draw() {
      this.map?.remove();
      this.map = null;
      const turn = (this.turn = (this.turn ?? 0) + 1);
      const server = (this.getAttribute("server") ?? home).replace(/\/$/, "");
      const lang = this.getAttribute("bahasa") === "en" ? "en" : "id";
      const root = this.shadowRoot ?? this.attachShadow({ mode: "open" });
      root.innerHTML = `<link rel="stylesheet" href="${server}/static/maplibre-gl.css"><style>:host{display:block;min-height:16rem;position:relative}#peta{position:absolute;inset:0}p{font:1rem sans-serif;padding:1rem}</style><div id="peta" role="application"></div>`;
      try {
        const ids = (this.getAttribute("lapisan") ?? "").split(",").map((id) => id.trim()).filter(Boolean);
        const [parts] = await Promise.all([Promise.all(ids.map((id) => layerStyle(server, id, this.getAttribute("gaya") ?? "default", lang))), maplibre(server)]);
        if (turn !== this.turn || !this.isConnected) return;
        const holder = root.getElementById("peta");
        holder.setAttribute("aria-label", parts.map(({ about }) => about.title).join(", "));
        const box = parts.map(({ about }) => about.extent?.spatial?.bbox?.[0]).find(Boolean) ?? [94, -11.5, 141.5, 6.5];
        const centre = this.getAttribute("pusat")?.split(",").map(Number);
        const view = centre?.length === 2 && centre.every(Number.isFinite)
          ? { center: centre, zoom: Number(this.getAttribute("zoom") ?? 9) }
          : { bounds: [[box[0], box[1]], [box[2], box[3]]], fitBoundsOptions: { padding: 20 } };
        this.map = new maplibregl.Map({ container: holder, style: joined(server, parts), renderWorldCopies: false, fadeDuration: 0, ...view });
        this.map.addControl(new maplibregl.NavigationControl());
        this.map.on("click", (event) => this.#tell(event, parts));
        this.map.once("idle", () => { this.dataset.ready = "true"; this.dispatchEvent(new CustomEvent("siap")); });
      } catch (error) {
        root.getElementById("peta").innerHTML = "";
        root.getElementById("peta").append(Object.assign(document.createElement("p"), { textContent: `${WORDS[lang].failed} (${error.message})` }));
        this.dispatchEvent(new CustomEvent("gagal", { detail: error }));
      }
    }

    // The page is told what was clicked; a popup shows it.
    #tell(event, parts) {
      const feature = this.map.queryRenderedFeatures(event.point).find((one) => one.properties.fid !== undefined);
      if (!feature) return;
      const collection = parts[Number(feature.source.split("|")[0])].about.id;
      const told = new CustomEvent("pilih", { cancelable: true, detail: { collection, id: feature.properties.fid, properties: feature.properties } });
      if (!this.dispatchEvent(told)) return;
      const list = document.createElement("dl");
      for (const [name, value] of Object.entries(feature.properties).slice(0, 10)) {
        list.append(Object.assign(document.createElement("dt"), { textContent: name }), Object.assign(document.createElement("dd"), { textContent: String(value) }));
      }
      new maplibregl.Popup({ maxWidth: "20rem" }).setLngLat(event.lngLat).setDOMContent(list).addTo(this.map);
    }
  }

  if (!customElements.get("satudata-peta")) customElements.define("satudata-peta", Peta);
})();
