// Sounds made by the page itself. A browser lets them out only after a person's gesture.
import { t } from "../viewer/setup.js";

const KEY = "kendali-bunyi";
let context = null;
let wanted = false;
try { wanted = localStorage.getItem(KEY) === "hidup"; } catch { /* no storage: not remembered */ }

const button = document.getElementById("bunyi");
const show = () => {
  const sounding = wanted && context?.state === "running";
  button.setAttribute("aria-pressed", String(wanted));
  button.classList.toggle("tertahan", wanted && !sounding);
  button.textContent = t(!wanted ? "bunyi.mati" : sounding ? "bunyi.hidup" : "bunyi.ketuk");
};
const wake = async () => {
  context ??= new AudioContext();
  context.onstatechange = show;
  if (context.state !== "running") await context.resume().catch(() => {});
  show();
};

const note = (at, pitch, length, loud) => {
  const tone = context.createOscillator();
  const volume = context.createGain();
  tone.frequency.value = pitch;
  volume.gain.setValueAtTime(0.0001, at);
  volume.gain.exponentialRampToValueAtTime(loud, at + 0.02);
  volume.gain.exponentialRampToValueAtTime(0.0001, at + length);
  tone.connect(volume).connect(context.destination);
  tone.start(at);
  tone.stop(at + length + 0.05);
  tone.onended = () => { tone.disconnect(); volume.disconnect(); };
};

// Sound is wanted, and the browser does not let it out.
export const held = () => wanted && context?.state !== "running";

// `alarm` for what hits people, `chime` for the rest.
export const play = (kind) => {
  if (!wanted || context?.state !== "running") return false;
  const now = context.currentTime;
  if (kind === "alarm") for (let i = 0; i < 6; i += 1) note(now + i * 0.35, i % 2 ? 660 : 880, 0.32, 0.4);
  else { note(now, 660, 0.4, 0.2); note(now + 0.25, 880, 0.6, 0.2); }
  document.body.dataset.sounded = kind;
  return true;
};

export const startSound = () => {
  button.addEventListener("click", async () => {
    const sounding = wanted && context?.state === "running";
    wanted = !sounding;
    try { localStorage.setItem(KEY, wanted ? "hidup" : "mati"); } catch { /* not remembered */ }
    if (wanted) { await wake(); play("chime"); } else { await context?.suspend(); show(); }
  });
  // remembered from before: a gesture anywhere lets it out; one on the button is for the button to take
  const gesture = (event) => { if (held() && event.target !== button) wake(); };
  addEventListener("pointerdown", gesture);
  addEventListener("keydown", gesture);
  show();
};
