// What the page carries: settings and words. No script has words of its own.
const read = (id) => JSON.parse(document.getElementById(id).textContent);

export const config = { ...read("viewer-config"), layers: [] };
const words = read("viewer-words");

export const t = (key, params = {}) =>
  (words[key] ?? key).replace(/\{(\w+)\}/g, (whole, name) => params[name] ?? whole);

export const lang = document.documentElement.lang;
export const number = (value, digits = 1) =>
  new Intl.NumberFormat(lang, { maximumFractionDigits: digits }).format(value);

export const element = (tag, attributes = {}, ...children) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
};

export const address = (path, params = {}) => {
  const query = new URLSearchParams(
    Object.entries(params).filter(([, value]) => value !== null && value !== undefined && value !== "")
  );
  const text = query.toString();
  return config.base + path + (text ? `?${text}` : "");
};

export const ask = async (path, params = {}, options = {}) => {
  const answer = await fetch(address(path, { lang, ...params }), options);
  if (!answer.ok) {
    const problem = await answer.json().catch(() => ({}));
    throw new Error(problem.detail || problem.title || String(answer.status));
  }
  return answer.json();
};

let silence = 0;
export const say = (text) => {
  const status = document.getElementById("viewer-status");
  status.textContent = text;
  clearTimeout(silence);
  silence = setTimeout(() => { status.textContent = ""; }, 8000);
};
// The layers come while the map draws: there may be thousands.
export const loadLayers = async () => { config.layers = (await ask("/peta", { f: "json" })).layers; };
export const layerOf = (id) => config.layers.find((one) => one.id === id);
export const part = (id) => encodeURIComponent(id);
