import { signal } from '@preact/signals';
import { recovered } from '../api/client';
import { go } from './router';
import { toggleTheme } from './settings';
import { keysOpen, paletteOpen } from './shell';

export const KEYS: [string, string][] = [
  ['Ctrl K', 'Search metrics, dashboards, targets and pages'],
  ['/', 'To the search field or the query'],
  ['g o', 'Overview'],
  ['g e', 'Explore'],
  ['g d', 'Dashboards'],
  ['g a', 'Alerts'],
  ['g t', 'Targets'],
  ['g s', 'Status'],
  ['t', 'Time range'],
  ['r', 'Refresh'],
  ['l', 'Live, and still again'],
  ['[ ]', 'Earlier, later'],
  ['- =', 'Longer, shorter range'],
  ['0', 'Back to now'],
  ['v', 'One panel alone: the one under the pointer or with the focus'],
  ['e', 'That panel in Explore'],
  ['Esc', 'Back to all panels'],
  ['Enter', 'In a query: ask it'],
  ['Shift Enter', 'In a query: a new line'],
  ['↑ ↓', 'In a query of one line: what was asked before'],
  ['d', 'Dark or light'],
  ['?', 'This list'],
];

// What the open page does with a key; pages set it while they are shown.
export const pageKeys = signal<Record<string, () => void>>({});

const PLACES: Record<string, string> = { o: '/', e: '/query', d: '/dashboards', a: '/alerts', t: '/targets', s: '/status' };

function typing(event: KeyboardEvent): boolean {
  const target = event.composedPath()[0] as HTMLElement | undefined;
  return target?.isContentEditable === true || /^(INPUT|TEXTAREA|SELECT)$/.test(target?.tagName ?? '');
}

export function installKeys(): () => void {
  let waiting = 0;
  const onKey = (event: KeyboardEvent): void => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k') {
      event.preventDefault();
      paletteOpen.value = !paletteOpen.value;
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || typing(event) || document.querySelector('dialog[open]')) return;
    // It closes an open menu, and no more.
    if (event.key === 'Escape' && document.querySelector('.menu-body')) return;
    if (Date.now() < waiting && PLACES[event.key]) {
      waiting = 0;
      go(PLACES[event.key]);
      event.preventDefault();
      return;
    }
    waiting = 0;
    if (event.key === 'g') waiting = Date.now() + 1200;
    else if (event.key === '?') keysOpen.value = true;
    else if (event.key === 'd') toggleTheme();
    else if (event.key === '/') {
      event.preventDefault();
      (document.querySelector('[data-search], .cm-content, .editor textarea') as HTMLElement | null)?.focus();
    } else if (pageKeys.value[event.key]) {
      event.preventDefault();
      pageKeys.value[event.key]();
    } else if (event.key === 'r') recovered.value++;
  };
  document.addEventListener('keydown', onKey);
  return () => document.removeEventListener('keydown', onKey);
}
