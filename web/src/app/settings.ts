import { effect, signal } from '@preact/signals';

// What this browser remembers. One key, so that clearing it is one click.
export interface Settings {
  theme: 'system' | 'dark' | 'light';
  timezone: 'local' | 'utc';
  density: 'comfortable' | 'compact';
}

const KEY = 'vedette.settings';
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
  ...read<Partial<Settings>>(KEY, {}),
});

export function change(part: Partial<Settings>): void {
  settings.value = { ...settings.value, ...part };
  write(KEY, settings.value);
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
