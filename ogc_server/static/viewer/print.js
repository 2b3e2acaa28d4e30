// A sheet to print or save as PDF: the map as it is, scale, legend, sources, date and address.
import { config, element, layerOf, number, t } from "./setup.js";
import { legend, titleOf } from "./tree.js";

const WIDTH_MM = 180;

const scaleOf = (map) => {
  const metres = (Math.cos((map.getCenter().lat * Math.PI) / 180) * 40075016.686) / (512 * 2 ** map.getZoom());
  const across = metres * map.getContainer().clientWidth;
  return { ratio: across / (WIDTH_MM / 1000), across };
};

const bar = (across) => {
  const wanted = across / 4;
  const step = 10 ** Math.floor(Math.log10(wanted));
  const length = [1, 2, 5, 10].map((n) => n * step).filter((n) => n <= wanted).pop() ?? step;
  const label = length >= 1000 ? `${number(length / 1000, 1)} km` : `${number(length, 0)} m`;
  return element("div", { class: "scale-bar", style: `width:${((length / across) * 100).toFixed(2)}%` }, label);
};

export const startPrint = (map, layers) => {
  document.getElementById("print").addEventListener("click", async () => {
    map.triggerRepaint();
    // read while the frame is drawn: after that the browser may have thrown it away
    const { drawn, ratio, across } = await new Promise((done) => {
      map.once("render", () => done({ drawn: map.getCanvas().toDataURL("image/png"), ...scaleOf(map) }));
    });
    const shown = layers.shown.filter((one) => one.visible);
    const picture = element("img", { src: drawn, alt: t("print.map") });
    const legends = shown.map((one) => element("section", {}, element("h3", {}, titleOf(one)), legend(one)));
    const below = config.basemap.filter((id) => !shown.some((one) => one.id === id)); // drawn below all others
    const sources = [...shown.map((one) => one.id), ...below].map(layerOf).filter(Boolean).map((known) =>
      element("li", {}, [known.title, known.group, known.licence, known.version ? t("print.version", { version: known.version }) : null, known.updated?.slice(0, 10), known.synthetic ? t("print.synthetic") : null].filter(Boolean).join(" · ")));
    if (document.getElementById("online")?.checked) sources.push(element("li", {}, `${t("basemap.online")} · ${config.online.attribution}`));
    const sheet = document.getElementById("sheet");
    const title = document.getElementById("print-title").value.trim() || t("title");
    sheet.replaceChildren(
      element("h1", {}, title),
      element("div", { class: "sheet-map" }, picture, bar(across), element("div", { class: "north", "aria-label": t("print.north") }, "N ↑")),
      element("p", { class: "scale" }, t("print.scale", { ratio: new Intl.NumberFormat(document.documentElement.lang, { maximumSignificantDigits: 3 }).format(ratio) })),
      element("div", { class: "legends" }, ...legends),
      element("h2", {}, t("print.sources")), element("ul", {}, ...sources),
      element("p", { class: "address" }, `${t("print.date", { date: new Date().toLocaleString(document.documentElement.lang) })} · ${location.href}`),
    );
    await picture.decode().catch(() => {});
    window.print();
  });
};
