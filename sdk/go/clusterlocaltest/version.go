package clusterlocaltest

// Version is the version of this module and of the program that it needs; .ci/versions sets it.
const Version = "0.1.0"
