import { effect, signal } from '@preact/signals';
import { root } from './router';

// What this browser remembers, and the server for its reader. One key, so that clearing it is one click.
export interface Settings {
  theme: 'system' | 'dark' | 'light';
  timezone: 'local' | 'utc';
  density: 'comfortable' | 'compact';
  changed: number; // When, in milliseconds; 0: never.
}

const KEY = 'vedette.settings';
const PROFILE = 'vedette.profile';
const HISTORY = 'vedette.history';
const HISTORY_LIMIT = 100;

function read<T>(key: string, otherwise: T): T {
  try {
    const text = localStorage.getItem(key);
    return text === null ? otherwise : (JSON.parse(text) as T);
  } catch {
    return otherwise;
  }
}

function write(key: string, value: unknown): void {
  try {
    localStorage.setItem(key, JSON.stringify(value));
  } catch {
    // Full or forbidden storage costs only the memory of it.
  }
}

export const settings = signal<Settings>({
  theme: 'system',
  timezone: 'local',
  density: 'comfortable',
  changed: 0,
  ...read<Partial<Settings>>(KEY, {}),
});

export function change(part: Partial<Settings>): void {
  settings.value = { ...settings.value, ...part, changed: Date.now() };
  write(KEY, settings.value);
  void keep(settings.value);
}

// The id under which the server keeps what this browser likes, where it does not know its users.
function profile(): string {
  let id = read<string>(PROFILE, '');
  if (!/^[a-z0-9]{16,64}$/.test(id)) {
    id = [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, '0')).join('');
    write(PROFILE, id);
  }
  return id;
}

const address = (): string => `${root}api/v1/preferences?profile=${profile()}`;

async function keep(value: Settings): Promise<void> {
  try {
    await fetch(address(), { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(value) });
  } catch {
    // It is remembered here; the server learns it with the next change.
  }
}

const CHOICES: Record<string, string[]> = { theme: ['system', 'dark', 'light'], timezone: ['local', 'utc'], density: ['comfortable', 'compact'] };

// What was liked last, in this browser or in another of the same reader.
export async function syncSettings(): Promise<void> {
  try {
    const answer = await fetch(address());
    const kept = ((await answer.json()) as { data?: Record<string, unknown> }).data ?? {};
    if (!answer.ok || typeof kept.changed !== 'number' || kept.changed <= settings.value.changed) return;
    const good = Object.fromEntries(Object.entries(CHOICES).filter(([name, list]) => list.includes(String(kept[name]))).map(([name]) => [name, kept[name]]));
    settings.value = { ...settings.value, ...good, changed: kept.changed };
    write(KEY, settings.value);
  } catch {
    // An older server, or none.
  }
}

const system = signal(matchMedia('(prefers-color-scheme: dark)').matches);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', (e) => (system.value = e.matches));

// Rows of lists are laid out for a telephone below this width.
const small = matchMedia('(max-width: 900px)');
export const narrow = signal(small.matches);
small.addEventListener('change', (e) => (narrow.value = e.matches));

export const dark = signal(true);
effect(() => {
  const chosen = settings.value.theme;
  dark.value = chosen === 'dark' || (chosen === 'system' && system.value);
  document.documentElement.dataset.theme = dark.value ? 'dark' : 'light';
  document.documentElement.dataset.density = settings.value.density;
});

export function toggleTheme(): void {
  change({ theme: dark.value ? 'light' : 'dark' });
}

// Expressions asked before, newest first.
export const history = signal<string[]>(read<string[]>(HISTORY, []));

export function remember(expression: string): void {
  const text = expression.trim();
  if (text === '' || history.value[0] === text) return;
  history.value = [text, ...history.value.filter((e) => e !== text)].slice(0, HISTORY_LIMIT);
  write(HISTORY, history.value);
}

export function forgetHistory(): void {
  history.value = [];
  write(HISTORY, []);
}
