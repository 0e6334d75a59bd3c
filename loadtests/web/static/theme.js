// Light or dark, as Locust's own switch says: it keeps "theme" in localStorage. Without it the
// browser's preference holds. Runs before the page is drawn, so that it never flashes white.

(() => {
  const prefersDark = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    const isDark = localStorage.theme === "dark" || (!("theme" in localStorage) && prefersDark.matches);
    document.documentElement.dataset.theme = isDark ? "dark" : "light";
  };
  apply();
  // Fires in every other document of this origin: in our frame when Locust's page switches.
  addEventListener("storage", apply);
  prefersDark.addEventListener("change", apply);
})();
