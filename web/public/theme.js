// Runs before the first paint, so that a stored theme never flashes.
(function () {
  var chosen = null;
  try {
    chosen = JSON.parse(localStorage.getItem('vedette.settings') || '{}').theme;
  } catch (e) {
    // Storage is off or broken: follow the system.
  }
  var dark = chosen === 'dark' || (chosen !== 'light' && matchMedia('(prefers-color-scheme: dark)').matches);
  document.documentElement.setAttribute('data-theme', dark ? 'dark' : 'light');
})();
