package server

// Private is private.
var Private = private
