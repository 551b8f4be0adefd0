// Package user gives user and group ids their names by the lists /etc/passwd and
// /etc/group of the container that a process runs in, or of the host.
//
// The lists belong to whoever runs the container. They are opened below the process's
// own root without leaving it, read only if they are regular files of bounded size, and
// read beside the pipeline: a file system that never answers costs one reader, and the
// names of that container. Names from elsewhere (LDAP, SSSD) are not known.
package user
