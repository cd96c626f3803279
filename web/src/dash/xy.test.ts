import { expect, test, vi } from 'vitest';
vi.mock('../app/router', () => ({ root: '/', href: (p: string) => p, path: { value: '/' } }));
vi.mock('../app/settings', () => ({ dark: { value: true }, settings: { value: { timezone: 'utc' } } }));
vi.mock('../chart/chart', () => ({ Chart: () => null, resolve: (c: string) => c }));

import { seriesOf, type Answer } from './ask';
import type { Frame } from './frames';
import { parseDashboard } from './model';
import { partsOf } from './views/candles';
import { placeOn, scaleOf, ticksOf } from './views/plot';
import { bridged } from './views/timeseries';
import { seriesOver } from './views/xy';

const panelOf = (p: object) => parseDashboard({ panels: [{ id: 1, type: 'xychart', ...p }] }).rows[0].panels[0];
const answerOf = (p: object, frames: Frame[]) => ({ frames, series: seriesOf(panelOf(p), frames, null, (_c, _f, name) => name), from: 0, to: 10, step: 1, times: [0, 1, 2] }) as unknown as Answer;
const over = (p: object, frames: Frame[]) => seriesOver(panelOf(p), answerOf(p, frames)).map((s) => [s.name, s.x.name, s.points]);

const wide: Frame[] = [{ refId: 'A', fields: [{ name: 'Time', type: 'time', values: [0, 1, 2] }, { name: 'load', type: 'number', values: [1, 2, 3] }, { name: 'heat', type: 'number', values: [10, null, 30] }, { name: 'fan', type: 'number', values: [5, 6, 7] }] }];

test('the first number column across, every other one up', () => {
  expect(over({}, wide)).toEqual([['heat', 'load', [[1, 10], [3, 30]]], ['fan', 'load', [[1, 5], [2, 6], [3, 7]]]]);
});

test('what a file names, before and since Grafana 11', () => {
  expect(over({ options: { seriesMapping: 'auto', dims: { x: 'fan', exclude: ['load'] } } }, wide)).toEqual([['heat', 'fan', [[5, 10], [7, 30]]]]);
  expect(over({ options: { seriesMapping: 'manual', series: [{ x: 'heat', y: 'fan', name: 'mine' }] } }, wide)).toEqual([['mine', 'heat', [[10, 5], [30, 7]]]]);
  const matcher = (name: string) => ({ matcher: { id: 'byName', options: name } });
  expect(over({ options: { mapping: 'manual', series: [{ x: matcher('heat'), y: matcher('load'), name: { fixed: 'n' } }] } }, wide)).toEqual([['n', 'heat', [[10, 1], [30, 3]]]]);
});

test('series of time: over time, or one over the other where the file names them', () => {
  const one = (refId: string, name: string, values: number[]): Frame => ({ refId, fields: [{ name: 'Time', type: 'time', values: [0, 1, 2] }, { name: 'Value', type: 'number', labels: {}, shown: name, values }] });
  const frames = [one('A', 'a', [1, 2, 3]), one('B', 'b', [4, 5, 6])];
  expect(over({}, frames)).toEqual([['a', 'Time', [[0, 1], [1, 2], [2, 3]]], ['b', 'Time', [[0, 4], [1, 5], [2, 6]]]]);
  expect(over({ options: { dims: { x: 'b' } } }, frames)).toEqual([['a', 'Value', [[4, 1], [5, 2], [6, 3]]]]);
});

test('a trend is in the order of its numbers across', () => {
  const frames: Frame[] = [{ refId: 'A', fields: [{ name: 'rpm', type: 'number', values: [3, 1, 2] }, { name: 'torque', type: 'number', values: [30, 10, 20] }] }];
  expect(over({ type: 'trend', options: { xField: 'rpm' } }, frames)).toEqual([['torque', 'rpm', [[1, 10], [2, 20], [3, 30]]]]);
});

test('candles find their parts by what the file says, by name, by letter', () => {
  const named = (name: string): Frame => ({ refId: name, fields: [{ name: 'Time', type: 'time', values: [0] }, { name: 'Value', type: 'number', labels: {}, shown: name, values: [1] }] });
  const parts = (p: object, names: string[]) => {
    const found = partsOf(panelOf({ type: 'candlestick', ...p }), answerOf(p, names.map(named)).series);
    return [found.open?.name, found.high?.name, found.low?.name, found.close?.name, found.volume?.name];
  };
  expect(parts({}, ['Open', 'high', 'low', 'close', 'volume'])).toEqual(['Open', 'high', 'low', 'close', 'volume']);
  expect(parts({}, ['o', 'c'])).toEqual(['o', undefined, undefined, 'c', undefined]);
  expect(parts({ options: { fields: { open: 'first', close: 'last' } } }, ['first', 'last'])).toEqual(['first', undefined, undefined, 'last', undefined]);
});

test('scales and their marks', () => {
  expect(ticksOf({ lo: 0, hi: 10 })).toEqual([0, 2, 4, 6, 8, 10]);
  expect(ticksOf({ lo: -0.3, hi: 0.3 })).toEqual([-0.2, 0, 0.2]);
  expect(ticksOf({ lo: 1, hi: 1000, log: 10 })).toEqual([1, 10, 100, 1000]);
  expect(ticksOf({ lo: 5, hi: 5 })).toEqual([5]);
  expect(scaleOf([])).toEqual({ lo: expect.any(Number), hi: expect.any(Number), log: undefined });
  expect(scaleOf([0, 100], 10, 90)).toEqual({ lo: 10, hi: 90, log: undefined });
  expect(placeOn({ lo: 1, hi: 100, log: 10 }, 10)).toBeCloseTo(0.5);
});

test('gaps up to a length are bridged, longer ones are not', () => {
  expect(bridged([1, null, 2, null, null, 3], [0, 1, 2, 3, 4, 5], 2000)).toEqual([1, undefined, 2, null, null, 3]);
  expect(bridged([null, 1, null], [0, 1, 2], 9e9)).toEqual([null, 1, null]);
});
