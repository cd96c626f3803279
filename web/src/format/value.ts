// Numbers as they come from the API: strings, so that NaN and infinities survive JSON.
export function number(text: string): number {
  if (text === '+Inf' || text === 'Inf') return Infinity;
  if (text === '-Inf') return -Infinity;
  return Number(text);
}

const PREFIXES: [number, string][] = [
  [1e18, 'E'],
  [1e15, 'P'],
  [1e12, 'T'],
  [1e9, 'G'],
  [1e6, 'M'],
  [1e3, 'k'],
];

// 1234567 to "1.23M": axes and tiles.
export function short(value: number, digits = 3): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf';
  if (value === 0) return '0';
  const size = Math.abs(value);
  for (const [scale, name] of PREFIXES) if (size >= scale) return trim((value / scale).toPrecision(digits)) + name;
  if (size < 1e-3) return trim(value.toExponential(digits - 1));
  return trim(value.toPrecision(digits));
}

function trim(text: string): string {
  if (text.includes('e')) return text.replace(/\.?0+e/, 'e');
  return text.includes('.') ? text.replace(/\.?0+$/, '') : text;
}

export function bytes(value: number): string {
  if (!Number.isFinite(value)) return '–';
  const names = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  let size = value;
  let i = 0;
  while (Math.abs(size) >= 1024 && i < names.length - 1) {
    size /= 1024;
    i++;
  }
  return `${size.toFixed(i === 0 || Math.abs(size) >= 100 ? 0 : Math.abs(size) >= 10 ? 1 : 2)} ${names[i]}`;
}

export function thousands(value: number): string {
  return Number.isFinite(value) ? value.toLocaleString('en-US').replace(/,/g, '\u202f') : String(value);
}

// Full precision, without noise of the last bit.
export function exact(value: number): string {
  if (!Number.isFinite(value)) return short(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e15) return String(value);
  return String(Number(value.toPrecision(12)));
}
