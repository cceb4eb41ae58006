// The types of the ES module: those of the package.
export * from './index.js';
