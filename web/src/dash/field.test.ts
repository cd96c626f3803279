import { expect, test } from 'vitest';
import { configFor, display } from './field';
import type { Frame } from './frames';
import type { Panel } from './model';
import golden from './testdata/display.json';

test('mappings: value, range, regex, special; the first that fits counts', () => {
  const mappings = [
    { type: 'value', options: { '0': { text: 'Down', color: 'red' }, '1': { text: 'Up', color: '#00ff00' } } },
    { type: 'range', options: { from: 10, to: 70, result: { text: 'mid' } } },
    { type: 'range', options: { from: 100, to: null, result: { text: 'high' } } },
    { type: 'regex', options: { pattern: '/^v(\\d+)$/', result: { text: 'version $1' } } },
    { type: 'special', options: { match: 'null+nan', result: { text: 'N/A' } } },
    { type: 'special', options: { match: 'empty', result: { text: 'nothing' } } },
  ];
  const text = (v: string | number | null) => display({ mappings }, v).text;
  expect([text(0), text(1), text(10), text(70), text(70.1), text(1e9), text('v12'), text(null), text(NaN), text('')]).toEqual(['Down', 'Up', 'mid', 'mid', '70.1', 'high', 'version 12', 'N/A', 'N/A', 'nothing']);
  expect(display({ mappings }, 0).color).toBe('#F2495C');
});

test('what is not a number has no unit; what is missing has its own text', () => {
  expect(display({ unit: 'bytes' }, NaN).text).toBe('NaN');
  expect(display({ unit: 'bytes', noValue: '–' }, null).text).toBe('–');
  expect(display({ unit: 'percentunit' }, 0.5).text).toBe('50%');
  expect(display({ unit: 's', decimals: 1 }, 90).text).toBe('1.5 mins');
});

test('true and false are words whatever the unit', () => {
  expect([display({ unit: 'bool_yes_no' }, true).text, display({ unit: 's' }, false).text, display({}, true).text]).toEqual(['true', 'false', 'true']);
});

test('thresholds: absolute, of a range, and in the order of the file', () => {
  const steps = [{ value: null, color: 'green' }, { value: 70, color: 'orange' }, { value: 90, color: 'red' }];
  const color = (v: number, mode: string) => display({ thresholds: { mode, steps }, color: { mode: 'thresholds' }, min: 0, max: 1 }, v).color;
  expect([color(69, 'absolute'), color(70, 'absolute'), color(200, 'absolute')]).toEqual(['#73BF69', '#FF9830', '#F2495C']);
  expect([color(0.5, 'percentage'), color(0.75, 'percentage'), color(0.95, 'percentage')]).toEqual(['#73BF69', '#FF9830', '#F2495C']);
});

test('a colour from a file is a colour or grey', () => {
  const color = (fixedColor: string) => display({ color: { mode: 'fixed', fixedColor } }, 1).color;
  expect(color('semi-dark-red')).toBe('#E02F44');
  expect(color('rgba(1, 2, 3, 0.5)')).toBe('rgba(1, 2, 3, 0.5)');
  expect(color('url(https://example.org/x)')).toBe('#808080');
  expect(color('red;background:url(x)')).toBe('#808080');
});

test('overrides fit by name, pattern, names, type, query and value; later ones win', () => {
  const frame: Frame = { refId: 'B', fields: [{ name: 'Value', shown: 'rx eth0', type: 'number', values: [1, 12] }] };
  const panel = (matcher: unknown): Panel => ({ defaults: { unit: 'short' }, overrides: [{ matcher, properties: [{ id: 'unit', value: 'bps' }, { id: 'custom.lineStyle.fill', value: 'dash' }] }] }) as unknown as Panel;
  const hit = (matcher: unknown) => configFor(panel(matcher), frame.fields[0], frame, [frame]).unit === 'bps';
  expect(hit({ id: 'byName', options: 'rx eth0' })).toBe(true);
  expect(hit({ id: 'byName', options: 'tx' })).toBe(false);
  expect(hit({ id: 'byRegexp', options: '/^rx.*/' })).toBe(true);
  expect(hit({ id: 'byRegexp', options: '(' })).toBe(false);
  expect(hit({ id: 'byNames', options: { names: ['a', 'rx eth0'] } })).toBe(true);
  expect(hit({ id: 'byNames', options: { mode: 'exclude', names: ['rx eth0'] } })).toBe(false);
  expect(hit({ id: 'byType', options: 'number' })).toBe(true);
  expect(hit({ id: 'byFrameRefID', options: 'B' })).toBe(true);
  expect(hit({ id: 'byFrameRefID', options: 'A' })).toBe(false);
  expect(hit({ id: 'byValue', options: { reducer: 'max', op: 'gte', value: 12 } })).toBe(true);
  expect(hit({ id: 'byValue', options: { reducer: 'min', op: 'gt', value: 1 } })).toBe(false);
});

test('an override cannot reach a prototype', () => {
  const frame: Frame = { refId: 'A', fields: [{ name: 'v', type: 'number', values: [1] }] };
  const panel = { defaults: {}, overrides: [{ matcher: { id: 'byName', options: 'v' }, properties: [{ id: '__proto__.polluted', value: 1 }, { id: 'custom.constructor.polluted', value: 1 }] }] } as unknown as Panel;
  configFor(panel, frame.fields[0], frame, [frame]);
  expect(({} as Record<string, unknown>).polluted).toBeUndefined();
});

// What Grafana's own library (@grafana/data 13) says of these values, between 0 and 100 where the file has no bounds.
test.each(golden.map((g) => [JSON.stringify(g.config), g] as const))('%s', (_, g) => {
  const got = g.rows.map(([written]) => {
    const value = written === null ? null : written!.startsWith('"') ? written!.slice(1) : Number(written);
    const shown = display(g.config, value, [0, 100], undefined, true);
    return [written, shown.text.replace(/[\u202f\u00a0]/g, ' '), shown.color];
  });
  expect(got).toEqual(g.rows);
});
