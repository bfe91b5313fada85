/** The version, which is that of the program: `.ci/versions` sets it. */
export const VERSION = "0.1.0";
