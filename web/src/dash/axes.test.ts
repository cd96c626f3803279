import { expect, test, vi } from 'vitest';
vi.mock('../app/router', () => ({ root: '/', href: (p: string) => p, path: { value: '/' } }));
vi.mock('../app/settings', () => ({ dark: { value: true }, settings: { value: { timezone: 'utc' } } }));
vi.mock('../chart/chart', () => ({ Chart: () => null, resolve: (c: string) => c }));

import { axesFor } from './views/timeseries';

const of = (...list: [string | undefined, string?][]) => {
  const { of: at, right } = axesFor(list.map(([unit, axisPlacement]) => ({ config: { unit, custom: { axisPlacement } } })));
  return [at, right];
};

test('one axis for each unit, the first on the left', () => {
  expect(of(['s'], ['s'])).toEqual([[0, 0], [false]]);
  expect(of(['s'], ['bytes'], ['percent'], ['bytes'])).toEqual([[0, 1, 2, 1], [false, true, true]]);
  expect(of([undefined], [undefined])).toEqual([[0, 0], [false]]);
  expect(of()).toEqual([[], []]);
});

test('a file says where an axis is', () => {
  expect(of(['s', 'right'], ['s'])).toEqual([[0, 1], [true, false]]);
  expect(of(['s'], ['bytes', 'left'])).toEqual([[0, 1], [false, false]]);
  expect(of(['s', 'right'], ['bytes', 'right'])).toEqual([[0, 1], [true, true]]);
});

test('more units than there is room for share the last axis of their side', () => {
  const [at] = of(...['a', 'b', 'c', 'd', 'e', 'f', 'g'].map((u): [string] => [u]));
  expect(at).toEqual([0, 1, 2, 3, 4, 4, 4]);
});
