// What the cases of a run share: its directory, its size, and the hot source file.
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Content, makeHotFile, sourceBlock } from './content.js';

export interface Source { path: string; content: Content }

export class Bench {
  readonly directory: string;
  readonly size: number;
  /** Of what rows choose at random. */
  readonly seed: number;
  readonly #block = sourceBlock();
  #source: Source | undefined;

  constructor(parent: string, size: number, seed: number) {
    this.directory = mkdtempSync(join(parent, 'uring-bench-'));
    this.size = size;
    this.seed = seed;
  }

  path(name: string): string {
    return join(this.directory, name);
  }

  /** The file that is read and copied, made when the first row asks for it. */
  source(): Source {
    return this.#source ??= this.makeSource('source', this.size);
  }

  makeSource(name: string, bytes: number): Source {
    const content = new Content(this.#block, bytes);
    makeHotFile(this.path(name), content);
    return { path: this.path(name), content };
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}
