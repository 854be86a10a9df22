// Figures for people.
import type { Bench } from './bench.js'

const mebibyte = 1 << 20

/** Three significant digits, but never an exponent. */
export function digits(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3)
}

export function mebibytes(bytes: number): string {
  return `${digits(bytes / mebibyte)} MiB`
}

/** The rate at which the run's size went in that time; 1 GB/s is 10^9 bytes per second. */
export function rateOfSize(seconds: number, { size }: Bench): string {
  return `${digits(size / seconds / 1e9)} GB/s`
}

export function milliseconds(seconds: number): string {
  return `${digits(seconds * 1e3)} ms`
}

export function perOperation(seconds: number): string {
  return seconds < 1e-6 ? `${digits(seconds * 1e9)} ns` : `${digits(seconds * 1e6)} µs`
}
