WORD = 'here'
