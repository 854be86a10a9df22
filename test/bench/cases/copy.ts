// Copying a file from the page cache into the page cache.
import { copyFile as nodesCopyFile } from 'node:fs/promises';
import { copyFile } from '../../../lib/index.js';
import { milliseconds, rateOfSize } from '../format.js';
import { seconds } from '../harness.js';
import type { Row } from '../harness.js';
import { cp } from '../peers.js';
import { writeCase } from '../streams.js';

export const copyRows: Row[] = [{
  name: 'hot copy',
  note: 'cp: its process from start to end; no blocks are shared',
  cases(bench) {
    const { path: source, content } = bench.source();
    const target = bench.path('copy');
    return [
      writeCase('copyFile', target, content, path => seconds(() => copyFile(source, path, { reflink: 'never' }))),
      writeCase('cp', target, content, path => cp(source, path)),
      writeCase('fs.copyFile', target, content, path => seconds(() => nodesCopyFile(source, path))),
    ];
  },
  goals: [
    { ours: 'copyFile', peer: 'cp', atLeast: 1 },
    { ours: 'copyFile', peer: 'fs.copyFile', atLeast: 1 },
  ],
  format: milliseconds,
  rate: rateOfSize,
}];
