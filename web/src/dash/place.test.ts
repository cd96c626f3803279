import { expect, test } from 'vitest';
import type { Panel } from './model';
import { apart, chosen, place } from './place';

const panel = (id: string, x: number, y: number, w: number, h: number, more: object = {}): Panel => ({ id, repeat: '', repeatDirection: 'h', maxPerRow: 4, grid: { x, y, w, h }, ...more }) as Panel;
const scope = { v: { values: ['a', 'b', 'c', 'd', 'e'], texts: [], options: [] }, all: { values: ['$__all'], texts: ['All'], options: ['$__all', 'p', 'q'].map((value) => ({ text: value, value })) } };
const where = (list: ReturnType<typeof place>) => list.map((p) => [p.panel.id, p.repeat, p.grid.x, p.grid.y, p.grid.w]);

test('a repeat fills rows and pushes what is below', () => {
  expect(where(place([panel('1', 0, 0, 24, 4, { repeat: 'v', maxPerRow: 2 }), panel('2', 0, 4, 24, 4)], scope, {}))).toEqual([
    ['1', 'a', 0, 0, 12], ['1', 'b', 12, 0, 12], ['1', 'c', 0, 4, 12], ['1', 'd', 12, 4, 12], ['1', 'e', 0, 8, 12], ['2', undefined, 0, 12, 24],
  ]);
  expect(where(place([panel('1', 6, 0, 6, 4, { repeat: 'all', repeatDirection: 'v' })], scope, {}))).toEqual([['1', 'p', 6, 0, 6], ['1', 'q', 6, 4, 6]]);
});

test('in a row that repeats by the same a panel is there once', () => {
  expect(where(place([panel('1', 0, 0, 24, 4, { repeat: 'v' })], scope, { v: 'b' }))).toEqual([['1', undefined, 0, 0, 24]]);
});

test('nothing lies on anything', () => {
  const list = apart(place([panel('1', 12, 0, 12, 4, { repeat: 'all' }), panel('2', 0, 0, 12, 4), panel('3', 0, 0, 30, 0)], scope, {}));
  for (const a of list) for (const b of list) if (a !== b) expect(a.grid.x < b.grid.x + b.grid.w && b.grid.x < a.grid.x + a.grid.w && a.grid.y < b.grid.y + b.grid.h && b.grid.y < a.grid.y + a.grid.h).toBe(false);
});

test('a variable that is not there repeats nothing', () => {
  expect(chosen(scope, 'none')).toEqual([]);
  expect(chosen(scope, 'constructor')).toEqual([]);
  expect(where(place([panel('1', 0, 3, 8, 4, { repeat: 'none' })], scope, {}))).toEqual([['1', undefined, 0, 0, 8]]);
});
