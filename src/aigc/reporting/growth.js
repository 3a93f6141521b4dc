// How the samples grew: one slider for all methods, and a button that moves it.
addEventListener("DOMContentLoaded", () => {
  const slider = document.getElementById("share"), button = document.getElementById("play");
  if (!slider) return;
  const shown = document.getElementById("shown"), step = 5, milliseconds = 500;
  const tiles = [...document.querySelectorAll("[data-frames]")].map(tile => ({
    frames: JSON.parse(tile.dataset.frames),
    picture: tile.querySelector("img"),
    text: tile.querySelector(".at"),
  }));
  let timer = null;

  function show(share) {
    slider.value = share;
    slider.setAttribute("aria-valuetext", `${share}% of each training`);
    shown.textContent = `${share}%`;
    for (const { frames, picture, text } of tiles) {
      const index = Math.max(0, frames.findLastIndex(([reached]) => reached <= share));
      picture.style.objectPosition = `0 ${frames.length > 1 ? 100 * index / (frames.length - 1) : 0}%`;
      text.textContent = frames[index][1];
    }
  }

  function pause() {
    clearInterval(timer);
    timer = null;
    button.textContent = "Play";
  }

  function play() {
    if (slider.value === slider.max) show(0);
    button.textContent = "Pause";
    timer = setInterval(() => {
      show(Math.min(100, Number(slider.value) + step));
      if (slider.value === slider.max) pause();
    }, milliseconds);
  }

  button.addEventListener("click", () => timer ? pause() : play());
  slider.addEventListener("input", () => { pause(); show(Number(slider.value)); });
  document.getElementById("controls").hidden = false;
  show(100);
  if (!matchMedia("(prefers-reduced-motion: reduce)").matches) play();
});
