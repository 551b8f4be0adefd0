package responder

import (
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/responder/api/access"
	"riposte/responder/store"
)

func TestPeopleAndTheirRoles(t *testing.T) {
	const token = "0123456789abcdef"
	all, err := parsePeople(nil, "# people\n\njane "+token+"1\ntom  "+token+"2 viewer\namy "+token+"3 approver namespaces=shop,cart clusters=prod\nbob "+token+"4 clusters=prod\n")
	require.NoError(t, err)
	grants := map[string]access.Grant{}
	for _, p := range all {
		require.Len(t, p.Grants, 1)
		grants[p.Name] = p.Grants[0]
	}
	require.Equal(t, map[string]access.Grant{
		"jane": {Role: access.Admin}, "tom": {Role: access.Viewer}, "bob": {Role: access.Admin, Reach: store.Reach{Clusters: []string{"prod"}}},
		"amy": {Role: access.Approver, Reach: store.Reach{Clusters: []string{"prod"}, Namespaces: []string{"shop", "cart"}}},
	}, grants)
	for line, says := range map[string]string{
		"jane " + token + " root":                         "line 1: what jane may do: after the token",
		"jane " + token + " none":                         "after the token",
		"jane " + token + " viewer admin":                 "after the token",
		"jane " + token + " viewer namespaces=":           "is no name",
		"jane " + token + " viewer namespaces=a,":         "is no name",
		"jane " + token + " namespaces=a namespaces=b":    "after the token",
		"jane " + token + " viewer nodes=a":               "after the token",
		"jane short viewer":                               "the token of jane",
		"jane " + token + "\njane 0123456789abcdef-other": "line 2: the name jane or its token is there already",
		"Jane " + token:                                   "a line is a name",
	} {
		_, err := parsePeople(nil, line)
		require.ErrorContains(t, err, says, line)
	}
}

func FuzzPeople(f *testing.F) {
	f.Add("jane 0123456789abcdef viewer namespaces=a,b")
	f.Add("# x\n\n a b c")
	f.Fuzz(func(t *testing.T, text string) {
		all, err := parsePeople(nil, text)
		if err != nil {
			return
		}
		for _, p := range all {
			require.NotEmpty(t, p.Token)
			require.Len(t, p.Grants, 1)
			require.NoError(t, p.Grants[0].Check())
		}
	})
}
