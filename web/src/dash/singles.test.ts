import { expect, test, vi } from 'vitest';
vi.mock('../app/router', () => ({ root: '/', href: (p: string) => p, path: { value: '/' } }));
vi.mock('../app/settings', () => ({ dark: { value: true }, settings: { value: { timezone: 'utc' } } }));
vi.mock('../chart/chart', () => ({ Chart: () => null, resolve: (c: string) => c }));

import { seriesOf, type Answer, type Context } from './ask';
import type { Frame } from './frames';
import { parseDashboard } from './model';
import { singles } from './views/single';

const context = { board: parseDashboard({ panels: [] }), scope: {}, from: 0, to: 10, utc: true, scrapeInterval: 15 } as unknown as Context;
const series = (refId: string, name: string, values: (number | null)[]): Frame => ({ refId, fields: [{ name: 'Time', type: 'time', values: values.map((_, i) => i * 1000) }, { name: 'Value', type: 'number', labels: { host: name }, values }] });
function shown(p: object, frames: Frame[]) {
  const panel = parseDashboard({ panels: [{ id: 1, type: 'stat', ...p }] }).rows[0].panels[0];
  const answer = { frames, series: seriesOf(panel, frames, null, (_c, _f, name) => name), from: 0, to: 10, step: 1, times: [], histograms: [], failed: [], notes: [], asked: 1, exemplars: '' } as Answer;
  return singles(panel, answer, context);
}
const texts = (p: object, frames: Frame[]) => shown(p, frames).map((s) => [s.name, s.shown.text]);
const two = [series('A', 'a', [1, 5, 3]), series('A', 'b', [10, 20, 30])];

test('each calculation of each field', () => {
  expect(texts({ options: { reduceOptions: { calcs: ['max', 'min'] } } }, two)).toEqual([['a', '5'], ['a', '1'], ['b', '30'], ['b', '10']]);
  expect(texts({ options: {} }, two)).toEqual([['a', '3'], ['b', '30']]);
});

test('fields by an expression, whole without slashes; words too', () => {
  const fields = (fields: string) => texts({ options: { reduceOptions: { calcs: ['lastNotNull'], fields } } }, [{ refId: 'A', fields: [{ name: 'Time', type: 'time', values: [0] }, { name: 'version', type: 'string', values: ['8.0'] }, { name: 'Value #A', type: 'number', values: [1] }] }]);
  expect(fields('/^version$/')).toEqual([['version', '8.0']]);
  expect(fields('vers')).toEqual([]);
  expect(fields('version')).toEqual([['version', '8.0']]);
  expect(fields('Value #A')).toEqual([['Value #A', '1']]);
  expect(fields('')).toEqual([['Value #A', '1']]);
});

test('all rows: called by their words, coloured by an override, no more than the limit', () => {
  const table: Frame[] = [{ refId: 'A', fields: [{ name: 'host', type: 'string', values: ['h1', 'h2', 'h3'] }, { name: 'used', type: 'number', values: [1, 2, 3] }] }];
  const options = { reduceOptions: { values: true, limit: 2, calcs: [] } };
  expect(texts({ options }, table)).toEqual([['h1', '1'], ['h2', '2']]);
  const wide = [{ ...table[0], fields: [...table[0].fields, { name: 'free', type: 'number' as const, values: [9, 8, 7] }] }];
  expect(texts({ options: { reduceOptions: { values: true } } }, wide).map(([name]) => name)).toEqual(['h1 used', 'h2 used', 'h3 used', 'h1 free', 'h2 free', 'h3 free']);
  expect(texts({ options, fieldConfig: { defaults: { displayName: '${__data.fields.host} (${__data.fields[1]})' } } }, table).map(([name]) => name)).toEqual(['h1 (1)', 'h2 (2)']);
  const red = shown({ options, fieldConfig: { defaults: {}, overrides: [{ matcher: { id: 'byName', options: 'h2' }, properties: [{ id: 'color', value: { mode: 'fixed', fixedColor: 'red' } }] }] } }, table);
  expect(red.map((s) => s.shown.color)).toEqual(['#808080', '#F2495C']);
});

test('bounds: of all values of all fields, of the field, of the unit', () => {
  const percents = (p: object, frames = two) => shown(p, frames).map((s) => Number(s.shown.percent.toFixed(3)));
  expect(percents({ type: 'bargauge' })).toEqual([0.069, 1]);
  expect(percents({ type: 'bargauge', fieldConfig: { defaults: { fieldMinMax: true } } })).toEqual([0.5, 1]);
  expect(percents({ type: 'bargauge', fieldConfig: { defaults: { min: 0, max: 60 } } })).toEqual([0.05, 0.5]);
  expect(percents({ type: 'gauge', fieldConfig: { defaults: { unit: 'percent' } } })).toEqual([0.03, 0.3]);
  expect(percents({ type: 'gauge', fieldConfig: { defaults: { unit: 'percentunit' } } }, [series('A', 'a', [0.25])])).toEqual([0.25]);
  expect(percents({ type: 'gauge' }, [series('A', 'a', [40])])).toEqual([1]);
});
