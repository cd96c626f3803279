import { expect, test } from 'vitest';
import golden from './testdata/units.json';
import { show, formatter } from './units';

// What Grafana's own library (@grafana/data 13) says of these values; the third with two decimals.
const VALUES = [0, 1.5, 61, 1024, 123456, -2500000, 0.00042, 9876543210];

test.each(Object.entries(golden))('unit %s', (unit, want) => {
  const got = VALUES.map((v, i) => {
    const f = formatter(unit, true)(v, i === 2 ? 2 : undefined);
    return ((f.prefix ?? '') + f.text + (f.suffix ?? '')).replace(/[\u202f\u00a0]/g, ' ');
  });
  expect(got).toEqual(want);
});

test('words that are no unit stand behind the number', () => {
  expect(show(1234567, 'connections')).toBe('1234567 connections');
  expect(show(1234567, 'rows/s')).toBe('1234567 rows/s');
  expect(show(5, 'prefix:~')).toBe('~5');
  expect(show(5, 'suffix:rows')).toBe('5 rows');
  expect(show(0.5, 'si:mV')).toBe('500 µV');
  expect(show(1500, 'count:jobs')).toBe('1.50K jobs');
  expect(show(0, 'bool:up/down')).toBe('down');
  expect(show(-12.5, 'currency:£')).toBe('-£12.5');
  expect(show(3, 'constructor')).toBe('3 constructor');
});

test('infinities carry no prefix', () => {
  expect(show(Infinity, 'bytes')).toBe('∞');
  expect(show(-Infinity, 'short')).toBe('-∞');
});
