import { computed, signal } from '@preact/signals';

// Where the server put us: "/" or "/some/prefix/", from <base href>.
export const root = new URL(document.baseURI).pathname.replace(/[^/]*$/, '');

function pathNow(): string {
  const path = location.pathname;
  return '/' + (path.startsWith(root) ? path.slice(root.length) : path.slice(1));
}

// What old addresses are called now. Queries stay.
const ALIASES: [RegExp, string][] = [
  [/^\/(new\/|classic\/)?graph$/, '/query'],
  [/^\/(new|classic)\/(.*)$/, '/$2'],
  [/^\/(dashboards\/f\/.*)$/, '/dashboards'],
  [/^\/explore$/, '/query'],
  [/^\/dashboard\/db\/([^/]+)$/, '/d/$1'],
  [/^\/alerting\/(list|notifications|routes|groups)$/, '/alerting'],
  [/^\/alerting\/silences$/, '/silences'],
  [/^\/alerting\/silence\/new$/, '/silences/new'],
  [/^\/d-solo\/(.+)$/, '/d/$1'],
  [/^\/dashboard\/(import|new)$/, '/dashboards'],
  [/^\/status\/?$/, '/status'],
  [/^\/discovered-alertmanagers$/, '/alertmanager-discovery'],
];

function canonical(): void {
  const here = pathNow();
  // Alertmanager keeps its pages behind the hash.
  const hash = /^#\/(alerts|silences)(\/new|\/[0-9a-f-]{36})?(\?.*)?$/.exec(location.hash);
  if (here === '/' && hash) {
    const page = hash[1] === 'alerts' ? '/alerting' : '/silences' + (hash[2] ?? '');
    window.history.replaceState(null, '', href(page) + (hash[3] ?? ''));
    return;
  }
  for (const [from, to] of ALIASES) {
    if (!from.test(here)) continue;
    const there = here.replace(from, to);
    if (there !== here) window.history.replaceState(null, '', href(there) + location.search);
    return;
  }
}

// "/targets" to the address behind the prefix.
export function href(path: string): string {
  return root + path.replace(/^\//, '');
}

canonical();
export const path = signal(pathNow());
export const search = signal(location.search);
export const params = computed(() => new URLSearchParams(search.value));

function publish(): void {
  path.value = pathNow();
  search.value = location.search;
}

addEventListener('popstate', () => {
  canonical();
  publish();
});
addEventListener('hashchange', () => {
  canonical();
  publish();
});

// A new page, or a step that Back should undo.
export function go(to: string): void {
  window.history.pushState(null, '', href(to));
  publish();
  if (!to.includes('?')) scrollTo(0, 0);
}

// The same page looks different now; Back does not stop here.
export function restate(query: URLSearchParams): void {
  const text = query.toString();
  const next = text === '' ? '' : '?' + text;
  if (next === location.search) return;
  window.history.replaceState(null, '', location.pathname + next);
  publish();
}

export function step(query: URLSearchParams): void {
  const text = query.toString();
  if ('?' + text === location.search) return;
  window.history.pushState(null, '', location.pathname + (text === '' ? '' : '?' + text));
  publish();
}

// Sets or (for "") removes parameters of the address.
export function setParams(values: Record<string, string>): void {
  const next = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(values)) {
    if (value === '') next.delete(name);
    else next.set(name, value);
  }
  restate(next);
}

// Plain clicks on our own links stay in the page.
document.addEventListener('click', (event) => {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const anchor = (event.target as Element | null)?.closest?.('a');
  if (!anchor || anchor.target !== '' || anchor.hasAttribute('download') || anchor.origin !== location.origin) return;
  if (!anchor.pathname.startsWith(root) || anchor.dataset.plain !== undefined) return;
  const inside = '/' + anchor.pathname.slice(root.length);
  if (/^\/(api|metrics|federate|-\/|assets)/.test(inside)) return;
  event.preventDefault();
  go(inside + anchor.search);
});
