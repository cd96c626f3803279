import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

// The server writes the route prefix into <base href>, so every asset is named relative to it and
// the same files serve under any prefix.
const backend = process.env.VEDETTE_API ?? 'http://127.0.0.1:9090';
const alertmanager = process.env.VEDETTE_ALERTMANAGER ?? backend;

const proxy = { '/api/v2': alertmanager, '/api': backend, '/-/': backend, '/metrics': backend };

export default defineConfig({
  base: './',
  esbuild: { jsx: 'automatic', jsxImportSource: 'preact', legalComments: 'none' },
  resolve: {
    // Signals' hooks and the editor must share one copy of each.
    alias: { 'style-mod': fileURLToPath(new URL('src/explore/style_mod.ts', import.meta.url)) },
    dedupe: ['preact', '@codemirror/state', '@codemirror/view', '@codemirror/language', '@lezer/common'],
  },
  build: {
    target: 'es2022',
    cssCodeSplit: true,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    chunkSizeWarningLimit: 800,
    assetsInlineLimit: 0,
    rollupOptions: {
      output: {
        entryFileNames: 'assets/[name]-[hash].js',
        chunkFileNames: 'assets/[name]-[hash].js',
        assetFileNames: 'assets/[name]-[hash][extname]',
      },
    },
  },
  server: { host: '127.0.0.1', proxy },
  preview: { host: '127.0.0.1', proxy },
});
