// Colours by Grafana's names and schemes.

const NAMED: Record<string, string> = {
  green: '#73BF69', 'dark-green': '#37872D', 'semi-dark-green': '#56A64B', 'light-green': '#96D98D', 'super-light-green': '#C8F2C2',
  yellow: '#FADE2A', 'dark-yellow': '#E0B400', 'semi-dark-yellow': '#F2CC0C', 'light-yellow': '#FFEE52', 'super-light-yellow': '#FFF899',
  red: '#F2495C', 'dark-red': '#C4162A', 'semi-dark-red': '#E02F44', 'light-red': '#FF7383', 'super-light-red': '#FFA6B0',
  blue: '#5794F2', 'dark-blue': '#1F60C4', 'semi-dark-blue': '#3274D9', 'light-blue': '#8AB8FF', 'super-light-blue': '#C0D8FF',
  orange: '#FF9830', 'dark-orange': '#FA6400', 'semi-dark-orange': '#FF780A', 'light-orange': '#FFB357', 'super-light-orange': '#FFCB7D',
  purple: '#B877D9', 'dark-purple': '#8F3BB8', 'semi-dark-purple': '#A352CC', 'light-purple': '#CA95E5', 'super-light-purple': '#DEB6F2',
  gray: '#808080', text: 'var(--ink)', panel: 'var(--card)', transparent: 'transparent',
};
const PANEL = '#181b1f';

const SAFE = /^(#[0-9a-f]{3,8}|(rgb|hsl)a?\([\d\s.,%/]+\)|[a-z]+)$/i;

// What a file says may be a name, a CSS colour or nonsense; nonsense is grey.
export function colorOf(name: string | undefined, otherwise = '#808080'): string {
  if (typeof name !== 'string' || name === '') return otherwise;
  if (Object.hasOwn(NAMED, name)) return NAMED[name];
  return SAFE.test(name) ? name : otherwise;
}

const SCHEMES: Record<string, string[]> = {
  'continuous-GrYlRd': ['green', 'yellow', 'red'],
  'continuous-RdYlGr': ['red', 'yellow', 'green'],
  'continuous-BlYlRd': ['dark-blue', 'super-light-yellow', 'dark-red'],
  'continuous-YlRd': ['super-light-yellow', 'dark-red'],
  'continuous-BlPu': ['blue', 'purple'],
  'continuous-YlBl': ['super-light-yellow', 'dark-blue'],
  'continuous-blues': [PANEL, 'dark-blue'],
  'continuous-reds': [PANEL, 'dark-red'],
  'continuous-greens': [PANEL, 'dark-green'],
  'continuous-purples': [PANEL, 'dark-purple'],
  'continuous-viridis': '#440154 #472d7b #3b528b #2c728e #21918c #28ae80 #5ec962 #addc30 #fde725'.split(' '),
  'continuous-magma': '#000004 #1d1147 #51127c #832681 #b73779 #e75263 #fc8961 #fec488 #fcfdbf'.split(' '),
  'continuous-plasma': '#0d0887 #4c02a1 #7e03a8 #aa2395 #cc4778 #e66c5c #f89540 #fdc527 #f0f921'.split(' '),
  'continuous-inferno': '#000004 #210c4a #57106e #8a226a #bc3754 #e45a31 #f98e09 #f9cb35 #fcffa4'.split(' '),
  'continuous-cividis': '#002051 #11366c #3c4d6e #62646f #7f7c75 #9a9478 #bbaf71 #e2cb5c #fdea45'.split(' '),
};

// The schemes of heatmaps, from the least to the most.
const HEAT: Record<string, string[]> = {
  oranges: ['#fff5eb', '#fdd0a2', '#fd8d3c', '#d94801', '#7f2704'],
  reds: ['#fff5f0', '#fcbba1', '#fb6a4a', '#cb181d', '#67000d'],
  greens: ['#f7fcf5', '#c7e9c0', '#74c476', '#238b45', '#00441b'],
  blues: ['#f7fbff', '#c6dbef', '#6baed6', '#2171b5', '#08306b'],
  purples: ['#fcfbfd', '#dadaeb', '#9e9ac8', '#6a51a3', '#3f007d'],
  greys: ['#ffffff', '#d9d9d9', '#969696', '#525252', '#000000'],
  spectral: ['#9e0142', '#f46d43', '#fee08b', '#e6f598', '#66c2a5', '#5e4fa2'],
  rdylgn: ['#a50026', '#f46d43', '#fee08b', '#d9ef8b', '#66bd63', '#006837'],
  turbo: ['#30123b', '#4675ed', '#1bcfd4', '#61fc6c', '#d1e834', '#fe9b2d', '#d93806', '#7a0402'],
  viridis: SCHEMES['continuous-viridis'], magma: SCHEMES['continuous-magma'], plasma: SCHEMES['continuous-plasma'], inferno: SCHEMES['continuous-inferno'], cividis: SCHEMES['continuous-cividis'],
};
export const heatScheme = (name: unknown): string[] => HEAT[String(name ?? '').toLowerCase().replace(/^interpolate/, '')] ?? HEAT.turbo;
export const schemeOf = (mode: string | undefined): string[] | undefined => (mode !== undefined && Object.hasOwn(SCHEMES, mode) ? SCHEMES[mode] : undefined);

function rgbOf(name: string): [number, number, number] {
  const hex = colorOf(name);
  const at = hex.startsWith('#') ? hex : PANEL;
  return [1, 3, 5].map((i) => parseInt(at.slice(i, i + 2), 16)) as [number, number, number];
}

// A uniform B-spline through the colours; t from 0 to 1.
export function blend(colors: string[], t: number): string {
  const rgb = colors.map(rgbOf);
  const n = rgb.length - 1;
  const at = Math.min(1, Math.max(0, Number.isNaN(t) ? 0 : t));
  const i = at >= 1 ? n - 1 : Math.floor(at * n);
  const u = at * n - i;
  const channel = (k: number): number => {
    const b = rgb[i][k];
    const c = rgb[i + 1][k];
    const a = i > 0 ? rgb[i - 1][k] : 2 * b - c;
    const d = i < n - 1 ? rgb[i + 2][k] : 2 * c - b;
    const v = ((1 - 3 * u + 3 * u ** 2 - u ** 3) * a + (4 - 6 * u ** 2 + 3 * u ** 3) * b + (1 + 3 * u + 3 * u ** 2 - 3 * u ** 3) * c + u ** 3 * d) / 6;
    return Math.round(Math.min(255, Math.max(0, v)));
  };
  return `rgb(${channel(0)}, ${channel(1)}, ${channel(2)})`;
}

// Black or white, whichever can be read on it.
export function inkOn(color: string): string {
  const m = /^rgb\((\d+), (\d+), (\d+)\)$/.exec(color);
  const [r, g, b] = m ? [Number(m[1]), Number(m[2]), Number(m[3])] : /^#[0-9a-f]{6}/i.test(color) ? rgbOf(color) : /^#[0-9a-f]{3}$/i.test(color) ? [1, 2, 3].map((i) => parseInt(color[i] + color[i], 16)) : [128, 128, 128];
  return (0.299 * r + 0.587 * g + 0.114 * b) / 255 > 0.5 ? '#0d1015' : '#ffffff';
}
