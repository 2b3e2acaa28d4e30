// The address says what is shown, so that a link shows the same to others.
export const read = () => {
  const given = new URLSearchParams(location.hash.slice(1));
  const layers = (given.get("l") ?? "").split(",").filter(Boolean).map((text) => {
    const [id, opacity, column] = text.split(":").map(decodeURIComponent);
    return { id, opacity: Number.isFinite(Number(opacity)) && opacity !== "" && opacity !== undefined ? Math.abs(Number(opacity)) : 1, visible: !String(opacity).startsWith("-"), column: column || null };
  });
  return {
    map: given.get("map"),
    layers: given.has("l") ? layers : null,
    time: given.get("t") ?? "",
    compare: given.get("c") ?? "",
    panel: given.get("p") ?? "",
  };
};

export const write = (map, layers, { time, compare, panel }) => {
  const { lng, lat } = map.getCenter();
  const parts = [`map=${map.getZoom().toFixed(2)}/${lat.toFixed(5)}/${lng.toFixed(5)}`];
  parts.push(`l=${[...layers.shown].map((one) => [one.id, `${one.visible ? "" : "-"}${+one.opacity.toFixed(2)}`, ...(one.column ? [one.column] : [])].map(encodeURIComponent).join(":")).join(",")}`);
  if (time) parts.push(`t=${time}`);
  if (compare) parts.push(`c=${encodeURIComponent(compare)}`);
  if (panel) parts.push(`p=${panel}`);
  history.replaceState(null, "", `#${parts.join("&")}`);
};
