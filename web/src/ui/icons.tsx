// Twenty strokes on a 24 grid; colour and size come from the text around them.
const SHAPES: Record<string, string> = {
  mark: 'M2 12s3.6-6.5 10-6.5S22 12 22 12s-3.6 6.5-10 6.5S2 12 2 12Z M9 12a3 3 0 1 0 6 0 3 3 0 0 0-6 0',
  sun: 'M12 3v2m0 14v2M3 12h2m14 0h2M5.6 5.6 7 7m10 10 1.4 1.4M18.4 5.6 17 7M7 17l-1.4 1.4M8 12a4 4 0 1 0 8 0 4 4 0 0 0-8 0',
  moon: 'M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5Z',
  search: 'M4 10.5a6.5 6.5 0 1 0 13 0 6.5 6.5 0 0 0-13 0 M15.5 15.5 21 21',
  plus: 'M12 5v14M5 12h14',
  close: 'M6 6l12 12M18 6 6 18',
  refresh: 'M20 11a8 8 0 1 0-2.3 6.3M20 5v6h-6',
  clock: 'M3.5 12a8.5 8.5 0 1 0 17 0 8.5 8.5 0 0 0-17 0 M12 7v5l3.5 2',
  globe: 'M3.5 12a8.5 8.5 0 1 0 17 0 8.5 8.5 0 0 0-17 0 M3.5 12h17 M12 3.5c5 5 5 12 0 17c-5-5-5-12 0-17',
  down: 'M6 9l6 6 6-6',
  right: 'M9 6l6 6-6 6',
  left: 'M15 6l-6 6 6 6',
  check: 'M5 12.5 10 17.5 19 7',
  warn: 'M12 4 2.5 20h19L12 4Z M12 10v4.5 M12 17.3v.2',
  bad: 'M3.5 12a8.5 8.5 0 1 0 17 0 8.5 8.5 0 0 0-17 0 M9 9l6 6M15 9l-6 6',
  unknown: 'M3.5 12a8.5 8.5 0 1 0 17 0 8.5 8.5 0 0 0-17 0 M9.7 9.5a2.4 2.4 0 1 1 3.6 2.1c-.9.5-1.3 1-1.3 1.9 M12 16.6v.2',
  list: 'M4 6h16M4 12h16M4 18h16',
  book: 'M5 4h11a3 3 0 0 1 3 3v13H8a3 3 0 0 1-3-3V4Z M5 17a3 3 0 0 1 3-3h11',
  bell: 'M6 16V11a6 6 0 1 1 12 0v5l1.5 2h-15L6 16Z M10 21h4',
  mute: 'M6 16V11c0-1 .3-2 .7-2.800M9.500 5.500A6 6 0 0 1 18 11v3 M4.500 18H16 M4 4l16 16 M10 21h4',
  download: 'M12 4v11m-4.500-4.500L12 15l4.500-4.500M4 20h16',
  full: 'M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5',
  keys: 'M3 6h18v12H3z M7 10h.01M11 10h.01M15 10h.01M8 14h8',
};

export function Icon({ name, size = 16 }: { name: keyof typeof SHAPES | string; size?: number }) {
  return (
    <svg class="icon" width={size} height={size} viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">
      <path d={SHAPES[name] ?? SHAPES.unknown} />
    </svg>
  );
}
